//! Which algorithms are offered: strong ones by default, what the user lists else, never none.

use super::error::TunnelError;
use super::known_hosts::matches_pattern;
use super::spec::Algorithms;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, compression, kex, mac};
use std::borrow::Cow;

const CIPHERS: &[cipher::Name] = &[
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];
// SHA-1 stands last, for old gateways: a MAC is not weakened by its collisions.
const MACS: &[mac::Name] = &[
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512,
    mac::HMAC_SHA256,
    mac::HMAC_SHA1_ETM,
    mac::HMAC_SHA1,
];
const KEXES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA256,
];
// Not methods but signals in the same list: RFC 8308, and the strict key exchange that ends Terrapin.
const KEX_SIGNALS: &[kex::Name] = &[
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];
// ssh-rsa with SHA-1 is left out, as OpenSSH does: such a signature no longer proves who the host is.
const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// Whether `name` is a cipher at all.
pub(super) fn is_real_cipher(name: &str) -> bool {
    !matches!(name, "none" | "clear" | "")
}

/// Whether `cipher` brings its own tag, so that no MAC is negotiated (RFC 5647, OpenSSH PROTOCOL).
pub(super) fn has_own_tag(cipher: &str) -> bool {
    cipher.contains("poly1305") || cipher.contains("-gcm@")
}

/// The lists for one host, with the key types on record for it first.
///
/// # Errors
/// `BadAlgorithms`, `NoProtection`: the user's list leaves nothing, or asks for none.
pub(super) fn preferred(
    wanted: &Algorithms,
    known_types: &[&str],
) -> Result<Preferred, TunnelError> {
    let ciphers = choose("Ciphers", wanted.ciphers.as_deref(), CIPHERS, |name| {
        cipher::ALL_CIPHERS.iter().find(|c| c.as_ref() == name).map(|c| **c)
    })?;
    let macs = choose("MACs", wanted.macs.as_deref(), MACS, |name| {
        mac::ALL_MAC_ALGORITHMS.iter().find(|m| m.as_ref() == name).map(|m| **m)
    })?;
    let mut kexes = choose("KexAlgorithms", wanted.kex.as_deref(), KEXES, |name| {
        kex::ALL_KEX_ALGORITHMS.iter().find(|k| k.as_ref() == name).map(|k| **k)
    })?;
    kexes.extend_from_slice(KEX_SIGNALS);
    let mut keys = choose("HostKeyAlgorithms", wanted.host_keys.as_deref(), HOST_KEYS, |name| {
        Algorithm::new(name).ok().filter(|a| !matches!(a, Algorithm::Other(_)))
    })?;
    keys.sort_by_key(|key| !known_types.contains(&key_type(key))); // stable: known types move to the front
    Ok(Preferred {
        kex: Cow::Owned(kexes),
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Owned(ciphers),
        mac: Cow::Owned(macs),
        compression: Cow::Borrowed(&[compression::NONE]),
    })
}

/// Type of the key behind a signature algorithm, as `known_hosts` writes it.
fn key_type(algorithm: &Algorithm) -> &str {
    if algorithm.clone().is_rsa() { "ssh-rsa" } else { algorithm.as_str() }
}

fn choose<N: AsRef<str> + Clone + PartialEq>(
    option: &'static str,
    wanted: Option<&str>,
    defaults: &[N],
    find: impl Fn(&str) -> Option<N>,
) -> Result<Vec<N>, TunnelError> {
    let Some(value) = wanted.map(str::trim).filter(|v| !v.is_empty()) else {
        return Ok(defaults.to_vec());
    };
    let (sign, list) = match value.split_at_checked(1) {
        Some((sign @ ("+" | "-" | "^"), rest)) => (sign, rest),
        _ => ("", value),
    };
    let names = || list.split(',').map(str::trim).filter(|n| !n.is_empty());
    if sign != "-"
        && let Some(none) = names().find(|n| !is_real_cipher(n))
    {
        let place = option.to_owned();
        return Err(TunnelError::NoProtection { place, algorithm: none.to_owned() });
    }
    let listed: Vec<N> = names().filter_map(find).collect();
    let chosen: Vec<N> = match sign {
        "+" => defaults.iter().cloned().chain(listed).collect(),
        "^" => listed.into_iter().chain(defaults.iter().cloned()).collect(),
        "-" => defaults
            .iter()
            .filter(|d| !names().any(|pattern| matches_pattern(d.as_ref(), pattern)))
            .cloned()
            .collect(),
        _ => listed,
    };
    let mut unique: Vec<N> = Vec::with_capacity(chosen.len());
    for name in chosen {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    if unique.is_empty() {
        let known = defaults.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(",");
        return Err(TunnelError::BadAlgorithms { option, value: value.to_owned(), known });
    }
    Ok(unique)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ciphers(value: &str) -> Result<Vec<String>, TunnelError> {
        let wanted = Algorithms { ciphers: Some(value.to_owned()), ..Algorithms::default() };
        Ok(preferred(&wanted, &[])?.cipher.iter().map(|c| c.as_ref().to_owned()).collect())
    }

    #[test]
    fn none_is_refused_wherever_it_stands() {
        for value in ["none", "aes256-ctr,none", "+none", "^clear"] {
            assert!(
                matches!(ciphers(value), Err(TunnelError::NoProtection { .. })),
                "{value} was taken"
            );
        }
        let wanted = Algorithms { macs: Some("none".to_owned()), ..Algorithms::default() };
        assert!(matches!(preferred(&wanted, &[]), Err(TunnelError::NoProtection { .. })));
        let wanted = Algorithms { kex: Some("none".to_owned()), ..Algorithms::default() };
        assert!(matches!(preferred(&wanted, &[]), Err(TunnelError::NoProtection { .. })));
    }

    #[test]
    fn no_default_list_holds_none() {
        let lists = preferred(&Algorithms::default(), &[]).unwrap();
        assert!(lists.cipher.iter().all(|c| is_real_cipher(c.as_ref())));
        assert!(lists.mac.iter().all(|m| m.as_ref() != "none"));
        assert!(lists.kex.iter().all(|k| k.as_ref() != "none"));
        assert_eq!(lists.compression.len(), 1);
    }

    #[test]
    fn lists_are_set_added_to_taken_from_and_put_first() {
        assert_eq!(ciphers("aes128-ctr").unwrap(), ["aes128-ctr"]);
        assert_eq!(ciphers("+aes128-cbc").unwrap().last().unwrap(), "aes128-cbc");
        assert_eq!(ciphers("^aes128-ctr").unwrap().first().unwrap(), "aes128-ctr");
        assert!(ciphers("-aes*,chacha20*").unwrap_err().remedy().is_some());
        assert!(!ciphers("-aes*").unwrap().iter().any(|c| c.starts_with("aes")));
        assert!(matches!(ciphers("rot13"), Err(TunnelError::BadAlgorithms { .. })));
    }

    #[test]
    fn key_types_on_record_are_asked_for_first() {
        let lists = preferred(&Algorithms::default(), &["ssh-rsa"]).unwrap();
        assert_eq!(lists.key.first().unwrap().as_str(), "rsa-sha2-512");
        let lists = preferred(&Algorithms::default(), &["ecdsa-sha2-nistp384"]).unwrap();
        assert_eq!(lists.key.first().unwrap().as_str(), "ecdsa-sha2-nistp384");
    }
}
