#![no_main]
libfuzzer_sys::fuzz_target!(|octets: &[u8]| tunnelcheck_fuzz::hosts_file(octets));
