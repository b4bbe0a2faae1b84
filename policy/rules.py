"""All rules of the pack; each is mandatory."""

from typing import Final

from policy import access, machines, openings, tags
from policy.resource import Rule

RULES: Final = (
    Rule("no-open-ssh", "SSH is open only to named ranges.", openings.ssh_is_for_administrators),
    Rule(
        "no-open-coordination",
        "NATS and etcd are open only to security groups and private ranges.",
        openings.coordination_is_for_the_cluster,
    ),
    Rule(
        "no-open-ports",
        "All ports at once are open only to the same security group.",
        openings.all_protocols_are_for_the_group_itself,
    ),
    Rule("imds-v2", "Instance metadata needs a token.", machines.metadata_needs_a_token),
    Rule("encrypted-volumes", "Every volume is encrypted.", machines.volumes_are_encrypted),
    Rule(
        "no-automatic-public-address",
        "No machine gets a public address by itself.",
        machines.no_address_is_public_by_itself,
    ),
    Rule(
        "elastic-addresses",
        "Elastic IPs are the head's and the NAT gateway's.",
        machines.elastic_addresses_are_for_head_and_gateway,
    ),
    Rule(
        "no-public-worker",
        "No worker has an Elastic IP.",
        machines.no_worker_has_an_elastic_address,
        whole_stack=True,
    ),
    Rule(
        "no-credentials-in-user-data",
        "User data holds no credentials.",
        machines.user_data_holds_no_credentials,
    ),
    Rule("tags", "Every resource has the tags of its stack and state.", tags.everything_is_tagged),
    Rule("narrow-roles", "Roles allow only named actions and resources.", access.roles_may_do_little),
    Rule("roles-of-machines", "Roles are assumed only by services.", access.roles_are_for_machines),
)
