-- Quarantined rows of a source by reason, with the first lines of each as samples.
select
    quarantine_reason as reason,
    count(*) as row_count,
    -- A list of all rows that is cut afterwards would hold all of them in memory.
    min_by(
        {
            'file_name': file_name,
            'line_number': line_number,
            'text': case
                when length(raw_text) > $length then left(raw_text, $length) || '…'
                else raw_text
            end
        },
        (file_name, line_number),
        $samples
    ) as samples
from quality.quarantined_rows
where source_name = $source
group by quarantine_reason
order by row_count desc, quarantine_reason asc
