"""M1 measures how prefill-heavy and decode-heavy vision-language workloads differ."""
