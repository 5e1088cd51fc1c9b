//! Places of trees: one spelling for each, and no two accounts in each other's way.

use std::path::{Path, PathBuf};

use super::Account;
use crate::error::{Error, Kind, Result};
use crate::remote::pop3::quirk::GMAIL_RECENT;

/// The path with symbolic links resolved as far as it exists, absolute; the same before and after the tree is made.
pub(super) fn canonical(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = absolute.ancestors().find_map(|existing| Some((existing, existing.canonicalize().ok()?)));
    match found {
        Some((existing, real)) => match absolute.strip_prefix(existing) {
            Ok(rest) if rest.as_os_str().is_empty() => real,
            Ok(rest) => real.join(rest),
            Err(_) => absolute,
        },
        None => absolute,
    }
}

/// Refuses accounts whose trees are in each other's way: two IMAP accounts in one tree, an IMAP account's tree with
/// another one in it, or one tree with two layouts. Each would take the other's mail for its own. A maildrop's mail may go
/// into the tree of another account, since it only adds to it.
///
/// # Errors
/// Kind `Config` that names both accounts and trees.
pub(super) fn apart(accounts: &[Account]) -> Result<()> {
    let mut seen: Vec<(&Account, PathBuf)> = Vec::new();
    for account in accounts {
        let root = canonical(&account.local().root);
        for (other, other_root) in &seen {
            let name = account.name();
            let how = match (root == *other_root, root.starts_with(other_root), other_root.starts_with(&root)) {
                (true, ..) if owns(account) && owns(other) => {
                    format!("The accounts `{}` and `{name}` share the tree {}", other.name(), root.display())
                }
                (true, ..) if are_one_mailbox(account, other) => {
                    let (name, other) = (account.name(), other.name());
                    return Err(Error::new(
                        Kind::Config,
                        format!("The accounts `{other}` and `{name}` seem to be one mailbox, over IMAP and POP3, in one tree"),
                    )
                    .hint("Each would take the other's mail for new. The IMAP account alone does what both would."));
                }
                (true, ..) if account.local().layout != other.local().layout => format!(
                    "The accounts `{}` and `{name}` share the tree {} and want different layouts of it",
                    other.name(),
                    root.display()
                ),
                (false, true, _) if owns(other) => within(name, &root, other.name(), other_root),
                (false, _, true) if owns(account) => within(other.name(), other_root, name, &root),
                _ => continue,
            };
            return Err(Error::new(Kind::Config, how).hint(
                "Give each account a `maildir` of its own, such as `~/Mail/one` and `~/Mail/two`; with one in the other, \
                 each would take the other's mail for its own. A POP3 account may have the same `maildir` and `layout` as \
                 another account.",
            ));
        }
        seen.push((account, root));
    }
    Ok(())
}

/// Whether all mail in the account's tree is the account's.
fn owns(account: &Account) -> bool {
    match account {
        Account::Imap(_) => true,
        Account::Pop3(_) => false,
    }
}

/// Whether one login is used over IMAP and POP3 at hosts that differ in their first word only (`imap.example.org`,
/// `pop.example.org`).
fn are_one_mailbox(one: &Account, other: &Account) -> bool {
    // Of `localhost` nothing can be told: there may be any number of servers on a machine.
    let domain = |account: &Account| {
        let host = account.server().bare_host().to_ascii_lowercase();
        host.split_once('.').filter(|(_, rest)| rest.contains('.')).map(|(_, rest)| rest.to_owned())
    };
    let user = |account: &Account| account.user().trim_start_matches(GMAIL_RECENT).to_lowercase();
    owns(one) != owns(other) && user(one) == user(other) && domain(one).is_some() && domain(one) == domain(other)
}

fn within(inner: &str, inner_root: &Path, outer: &str, outer_root: &Path) -> String {
    format!(
        "The tree of account `{inner}`, {}, is inside that of `{outer}`, {}",
        inner_root.display(),
        outer_root.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_spelling_before_and_after_it_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("a")).unwrap();
        std::os::unix::fs::symlink(real.join("a"), real.join("link")).unwrap();
        assert_eq!(canonical(&real.join("link/mail/x")), real.join("a/mail/x"));
        std::fs::create_dir_all(real.join("a/mail/x")).unwrap();
        assert_eq!(canonical(&real.join("link/mail/x")), real.join("a/mail/x"));
        assert_eq!(canonical(Path::new("/")), Path::new("/"));
    }
}
