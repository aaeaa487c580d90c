//! Linux: systemd-resolved and nscd.

use super::Cache;

pub(super) const CACHES: &[Cache] = &[
    Cache {
        name: "systemd-resolved",
        shown_by: "/run/systemd/resolve",
        commands: &[
            &["/usr/bin/resolvectl", "flush-caches"],
            &["/bin/resolvectl", "flush-caches"],
            &["/usr/bin/systemd-resolve", "--flush-caches"],
        ],
    },
    Cache {
        name: "nscd",
        shown_by: "/run/nscd/socket",
        commands: &[&["/usr/sbin/nscd", "-i", "hosts"], &["/usr/bin/nscd", "-i", "hosts"]],
    },
];
