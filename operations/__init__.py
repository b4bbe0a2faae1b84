"""Operations on a stack beyond one `pulumi` command; `scripts/` starts these verbs."""
