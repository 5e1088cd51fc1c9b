//! Places of trees: one spelling for each, and no two accounts in one.

use std::path::{Path, PathBuf};

use super::Account;
use crate::error::{Error, Kind, Result};

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

/// Refuses two accounts that share a tree or have one inside the other's: each would take the other's mail for its own.
///
/// # Errors
/// Kind `Config` that names both accounts and trees.
pub(super) fn apart(accounts: &[Account]) -> Result<()> {
    let mut seen: Vec<(&str, PathBuf)> = Vec::new();
    for account in accounts {
        let root = canonical(&account.local().root);
        for (name, other) in &seen {
            let how = match (root == *other, root.starts_with(other), other.starts_with(&root)) {
                (true, ..) => {
                    format!("The accounts `{name}` and `{}` share the tree {}", account.name(), root.display())
                }
                (_, true, _) => within(account.name(), &root, name, other),
                (_, _, true) => within(name, other, account.name(), &root),
                _ => continue,
            };
            return Err(Error::new(Kind::Config, how).hint(
                "Give each account a `maildir` of its own, such as `~/Mail/one` and `~/Mail/two`; with one in the other, \
                 each would take the other's mail for its own.",
            ));
        }
        seen.push((account.name(), root));
    }
    Ok(())
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
