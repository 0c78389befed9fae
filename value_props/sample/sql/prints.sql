-- Prints: each open of the app shows the first positions of a carousel.
select
    opens.open_id,
    opens.user_rank,
    opens.day_number,
    carousels.position,
    carousels.prop,
    carousels.click_weight
from opens
inner join carousels
    on
        floor(4096 * chance('carousel', opens.open_id)) = carousels.carousel
        and opens.shown > carousels.position
