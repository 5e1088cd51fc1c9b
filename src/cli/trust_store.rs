//! The system's certificates are looked up one by one, and not all read at each start.
//!
//! native-tls has OpenSSL read the system's whole bundle whenever it makes a connector: 144 certificates take 0.1 s of
//! CPU and 2 MB. Most systems keep the same certificates in a directory too, under the hashes of their subjects, where
//! OpenSSL finds the one it needs. `SSL_CERT_FILE` with an empty file makes it look only there. A program cannot set a
//! variable for itself safely, so this one begins anew, once, in the same process; that takes 2 ms. Commands that it
//! runs do not get the variable.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::secret::NO_BUNDLE;

/// Bundles, and the directories that belong to them (openssl-probe knows the same ones).
const STORES: [(&str, &str); 2] = [
    ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs"),
    ("/etc/pki/tls/certs/ca-bundle.crt", "/etc/pki/tls/certs"),
];

/// Begins anew with `SSL_CERT_FILE` where that saves reading the bundle; returns where it does not, or cannot be.
pub(super) fn look_up() {
    let is_set = |name| std::env::var_os(name).is_some();
    if is_set("SSL_CERT_FILE") || is_set("SSL_CERT_DIR") {
        return;
    }
    let store = STORES.iter().find(|(bundle, _)| Path::new(bundle).exists());
    if !store.is_some_and(|(bundle, directory)| has_all(Path::new(bundle), Path::new(directory))) {
        return;
    }
    let (Ok(program), mut args) = (std::env::current_exe(), std::env::args_os()) else { return };
    let mut again = Command::new(program);
    if let Some(name) = args.next() {
        again.arg0(name);
    }
    let error = again.args(args).env("SSL_CERT_FILE", NO_BUNDLE).exec();
    log::debug!("The whole trust store is read: {error}");
}

/// Whether a directory has at least as many certificates under their hashes as a bundle holds: then both were made from
/// the same ones.
fn has_all(bundle: &Path, directory: &Path) -> bool {
    let (Ok(bundle), Ok(entries)) = (fs::read(bundle), fs::read_dir(directory)) else { return false };
    let certificates = memchr::memmem::find_iter(&bundle, "-----BEGIN ").count();
    let hashed = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_hash)).count();
    certificates > 0 && hashed >= certificates
}

/// Whether a name is a certificate's hash and a number: `8d33f237.0`.
fn is_hash(name: &str) -> bool {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    name.split_once('.').is_some_and(|(hash, number)| {
        hash.len() == 8 && hash.chars().all(is_hex) && !number.is_empty() && number.chars().all(|c| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_fewer_hashes_than_the_bundle_has_certificates_does_not_do() {
        let temp = tempfile::tempdir().unwrap();
        let bundle = temp.path().join("bundle.crt");
        fs::write(&bundle, "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n".repeat(2)).unwrap();
        fs::write(temp.path().join("8d33f237.0"), "").unwrap();
        ["README", "8d33f237", "8d33f237.r0", "8D33F237.0", "8d33f2377.0", "ca.0"]
            .iter()
            .for_each(|other| fs::write(temp.path().join(other), "").unwrap());
        assert!(!has_all(&bundle, temp.path()));
        fs::write(temp.path().join("8d33f237.1"), "").unwrap();
        assert!(has_all(&bundle, temp.path()));
        fs::write(&bundle, "").unwrap();
        assert!(!has_all(&bundle, temp.path()));
    }
}
