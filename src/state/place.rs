//! Where an account's files stand: one directory for all accounts, names that no account name can break out of.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::fault;
use crate::error::{Error, Kind, Result};
use crate::faults::{self, Step};

/// The directory for the state of all accounts: `$XDG_STATE_HOME/mailtide`, by default `~/.local/state/mailtide`.
///
/// An error of kind [`Kind::State`] when there is no home directory. Nothing is made.
pub fn state_dir() -> Result<PathBuf> {
    let strategy = etcetera::base_strategy::Xdg::new().map_err(|e| {
        Error::new(Kind::State, "No place for the state is known")
            .because(e)
            .hint("Set the environment variable `XDG_STATE_HOME` or `HOME`.")
    })?;
    let base = strategy.state_dir().unwrap_or_else(|| strategy.home_dir().join(".local/state"));
    Ok(base.join("mailtide"))
}

/// Makes `dir` and what is missing above it, durably and for the owner only; one that exists stays as it is.
pub(super) fn make_private(dir: &Path) -> Result<()> {
    let wrong = |e| fault::io("make the state directory", dir, e);
    let absolute = std::path::absolute(dir).map_err(wrong)?;
    // The names of all that is made stand in the directories above.
    let above: Vec<&Path> = absolute.ancestors().take_while(|dir| !dir.exists()).filter_map(Path::parent).collect();
    let make = || DirBuilder::new().recursive(true).mode(0o700).create(dir);
    faults::disk(Step::MakeDirectory).and_then(|()| make()).map_err(wrong)?;
    above.into_iter().try_for_each(|parent| match File::open(parent) {
        Ok(parent) => parent.sync_all().map_err(wrong),
        // One that may not be read may still be entered.
        Err(_) => Ok(()),
    })
}

/// Makes the names in `dir` durable.
pub(super) fn sync(dir: &Path) -> Result<()> {
    let flush = || File::open(dir).and_then(|d| d.sync_all());
    faults::disk(Step::FlushDirectory)
        .and_then(|()| flush())
        .map_err(|e| fault::io("flush the state directory", dir, e))
}

/// The path of one of the account's files.
pub(super) fn file(dir: &Path, account: &str, extension: &str) -> PathBuf {
    dir.join(format!("{}.{extension}", stem(account)))
}

/// A file name for any account name, readable where it can be: others than `A–Z a–z 0–9 @ _ + = -` and inner dots are
/// `%XX`; a long one is cut and told apart by a hash.
fn stem(account: &str) -> String {
    const LONGEST: usize = 200;
    let mut out = String::new();
    for (at, byte) in account.bytes().enumerate() {
        match byte {
            b'.' if at > 0 => out.push('.'),
            b'@' | b'_' | b'+' | b'=' | b'-' => out.push(char::from(byte)),
            b if b.is_ascii_alphanumeric() => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    if out.is_empty() {
        out.push('%');
    }
    if out.len() > LONGEST {
        let hash = blake3::hash(account.as_bytes()).to_hex();
        out.truncate(LONGEST - 33);
        out.push('%');
        out.extend(hash.chars().take(32));
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_account_name_is_a_file_name() {
        for (account, want) in [
            ("work", "work"),
            ("me@example.org", "me@example.org"),
            ("../x", "%2E.%2Fx"),
            ("", "%"),
            ("a b%", "a%20b%25"),
        ] {
            assert_eq!(stem(account), want);
        }
        assert_ne!(stem(&"x".repeat(300)), stem(&"x".repeat(301)));
    }

    proptest! {
        #[test]
        fn no_account_name_leaves_the_directory(a in "\\PC{0,300}", b in "[./%aA\\x00]{0,4}", c in "[./%aA\\x00]{0,4}") {
            let name = stem(&a);
            prop_assert!(!name.is_empty() && name.len() <= 200 && !name.starts_with('.') && !name.contains(['/', '\0']));
            prop_assert_eq!(b == c, stem(&b) == stem(&c));
        }
    }
}
