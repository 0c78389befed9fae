{{ parsed_payments() }}
