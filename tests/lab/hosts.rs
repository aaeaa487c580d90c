//! The hosts file where it is hardest: bound over /etc/hosts, on a full file system, under kill -9; and what it is for.
