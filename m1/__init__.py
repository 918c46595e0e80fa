"""M1: how prefill-heavy and decode-heavy vision-language workloads differ, measured."""
