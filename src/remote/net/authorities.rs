//! Whose word is good for a certificate: the system's authorities, and those of one more file.
//!
//! The system keeps its authorities twice: in a directory by the hash of their names, where OpenSSL looks up only the one
//! that it needs, and all in one file, which takes 40 ms and 3 MB to read. So a handshake asks the directory first, and
//! only of a certificate whose authority is not there the file is read, once a run, and its chain verified anew with it.
//! That widens nothing: both are the system's, and everything else about the certificate is judged in the handshake.

use std::sync::OnceLock;

use openssl::error::ErrorStack;
use openssl::ssl::SslFiletype;
use openssl::stack::Stack;
use openssl::x509::store::{X509Lookup, X509Store, X509StoreBuilder};
use openssl::x509::{X509, X509PurposeId, X509StoreContext, X509StoreContextRef, X509VerifyResult};

/// The authorities that are believed.
pub(super) struct Authorities {
    /// Beside the system's.
    more: Vec<X509>,
    all: OnceLock<Option<X509Store>>,
}

impl Authorities {
    /// Takes the authorities that are believed beside the system's.
    pub(super) fn new(more: Vec<X509>) -> Authorities {
        Authorities { more, all: OnceLock::new() }
    }

    /// What a handshake asks first: costs nothing to make.
    pub(super) fn at_hand(&self) -> Result<X509Store, ErrorStack> {
        let mut store = self.store()?;
        look_up(&mut store)?;
        Ok(store.build())
    }

    /// Whether a certificate is good after all, that was refused because its authority is not at hand; called in the
    /// handshake, for each thing that is found wrong.
    pub(super) fn vouch(&self, refused: &mut X509StoreContextRef) -> bool {
        if !is_about_the_authority(refused.error()) {
            return false;
        }
        let Some(all) = self.all.get_or_init(|| self.everything().ok()) else { return false };
        let Some(chain) = refused.chain() else { return false };
        let good = verified(all, chain.iter().map(ToOwned::to_owned).collect()).unwrap_or(false);
        if good {
            refused.set_error(X509VerifyResult::OK);
        }
        good
    }

    fn everything(&self) -> Result<X509Store, ErrorStack> {
        let mut store = self.store()?;
        store.set_purpose(X509PurposeId::SSL_SERVER)?;
        store.set_default_paths()?;
        if let Some(file) = openssl_probe::probe().cert_file {
            // One that cannot be read leaves those of the default place.
            let _ = store.add_lookup(X509Lookup::file())?.load_cert_file(file, SslFiletype::PEM);
        }
        look_up(&mut store)?;
        Ok(store.build())
    }

    fn store(&self) -> Result<X509StoreBuilder, ErrorStack> {
        let mut store = X509StoreBuilder::new()?;
        for authority in &self.more {
            store.add_cert(authority.clone())?;
        }
        Ok(store)
    }
}

impl std::fmt::Debug for Authorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authorities({} more)", self.more.len())
    }
}

fn look_up(store: &mut X509StoreBuilder) -> Result<(), ErrorStack> {
    let lookup = store.add_lookup(X509Lookup::hash_dir())?;
    for dir in openssl_probe::probe().cert_dir {
        if let Some(dir) = dir.to_str() {
            lookup.add_dir(dir, SslFiletype::PEM)?;
        }
    }
    Ok(())
}

/// Whether what is wrong is that nobody known vouches for the certificate; X509_verify_cert_error(3).
fn is_about_the_authority(error: X509VerifyResult) -> bool {
    const SELF_SIGNED: i32 = 18;
    const SELF_SIGNED_IN_CHAIN: i32 = 19;
    const NO_ISSUER: i32 = 2;
    const NO_ISSUER_HERE: i32 = 20;
    const LEAF_ALONE: i32 = 21;
    matches!(error.as_raw(), SELF_SIGNED | SELF_SIGNED_IN_CHAIN | NO_ISSUER | NO_ISSUER_HERE | LEAF_ALONE)
}

/// Whether the first certificate of `chain` is good for a server, by its dates, uses and signatures up to an authority.
fn verified(store: &X509Store, chain: Vec<X509>) -> Result<bool, ErrorStack> {
    let mut chain = chain.into_iter();
    let Some(leaf) = chain.next() else { return Ok(false) };
    let mut between = Stack::new()?;
    for certificate in chain {
        between.push(certificate)?;
    }
    X509StoreContext::new()?.init(store, &leaf, &between, |context| context.verify_cert())
}
