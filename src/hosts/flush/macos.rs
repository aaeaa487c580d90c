//! macOS: the directory service and mDNSResponder.

use super::Cache;

pub(super) const CACHES: &[Cache] = &[
    Cache {
        name: "the directory service",
        shown_by: "",
        commands: &[&["/usr/bin/dscacheutil", "-flushcache"]],
    },
    Cache {
        name: "mDNSResponder",
        shown_by: "",
        commands: &[&["/usr/bin/killall", "-HUP", "mDNSResponder"]],
    },
];
