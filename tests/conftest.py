"""What holds for every tier: generated examples have no time limit, since a busy machine is no failure."""

import hypothesis

hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")
