//! Mailboxes that have another name in the tree than on the server.
//!
//! A rename exchanges two names together with all that stands below them: the mailbox on the server that already has
//! the new name takes the old one. So names map one to one whatever a server lists, and two mailboxes never become one.
//! Renames apply one after the other; those whose result is not what each of them says are refused.

use crate::error::{Error, Kind, Result};
use crate::mail::MailboxName;

/// The renames of an account; the default renames nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Renames {
    /// In the order in which they apply on the way from the server.
    exchanges: Vec<(MailboxName, MailboxName)>,
}

impl Renames {
    /// Takes pairs of a server name and the local name.
    ///
    /// # Errors
    /// Kind `Config` when INBOX is renamed, a name stands below its own counterpart, or two renames meet: give one
    /// mailbox two names, two mailboxes one name, or undo each other.
    pub fn new(pairs: impl IntoIterator<Item = (MailboxName, MailboxName)>) -> Result<Renames> {
        let mut exchanges: Vec<_> = pairs.into_iter().collect();
        for (server, local) in &exchanges {
            if server.is_inbox() || local.is_inbox() {
                return Err(Error::new(Kind::Config, "`INBOX` cannot be renamed, and no other mailbox can become it"));
            }
            if server != local && (server.is_below(local) || local.is_below(server)) {
                return Err(Error::new(
                    Kind::Config,
                    format!("`{server}` cannot become `{local}`: one stands below the other"),
                ));
            }
        }
        exchanges.retain(|(server, local)| server != local);
        // The deepest first, so that `A/B` can leave `A` before `A` itself is renamed.
        exchanges.sort_by_key(|(server, _)| (std::cmp::Reverse(server.segments().count()), server.clone()));
        let renames = Renames { exchanges };
        for (server, local) in &renames.exchanges {
            if renames.local(server) != *local || renames.server(local) != *server {
                return Err(Error::new(
                    Kind::Config,
                    format!("The rename of `{server}` to `{local}` meets another one"),
                )
                .hint("Give each mailbox one name, and rename to names that no other rename starts from."));
            }
        }
        Ok(renames)
    }

    /// The name in the tree of a mailbox on the server.
    pub fn local(&self, server: &MailboxName) -> MailboxName {
        self.exchanges.iter().fold(server.clone(), exchanged)
    }

    /// The name on the server of a mailbox in the tree.
    pub fn server(&self, local: &MailboxName) -> MailboxName {
        self.exchanges.iter().rev().fold(local.clone(), exchanged)
    }
}

fn exchanged(name: MailboxName, (a, b): &(MailboxName, MailboxName)) -> MailboxName {
    moved(&name, a, b).or_else(|| moved(&name, b, a)).unwrap_or(name)
}

/// The name after `from` with all below it has become `to`; `None` when it does not stand there.
fn moved(name: &MailboxName, from: &MailboxName, to: &MailboxName) -> Option<MailboxName> {
    if name != from && !name.is_below(from) {
        return None;
    }
    MailboxName::parse(&format!("{to}{}", name.path().strip_prefix(from.path())?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(path: &str) -> MailboxName {
        MailboxName::parse(path).unwrap()
    }

    fn renames(pairs: &[(&str, &str)]) -> Result<Renames> {
        Renames::new(pairs.iter().map(|(s, l)| (name(s), name(l))))
    }

    #[test]
    fn what_stands_below_moves_too() {
        let r = renames(&[("[Gmail]", "Google"), ("[Gmail]/All Mail", "Archive")]).unwrap();
        for (server, local) in [
            ("[Gmail]/All Mail", "Archive"),
            ("[Gmail]/All Mail/x", "Archive/x"),
            ("[Gmail]/Spam", "Google/Spam"),
            ("INBOX", "INBOX"),
            ("[Gmail]y", "[Gmail]y"),
            // Already there on the server: it steps aside, and nothing is mixed.
            ("Archive", "Google/All Mail"),
        ] {
            assert_eq!(r.local(&name(server)), name(local));
            assert_eq!(r.server(&name(local)), name(server));
        }
    }

    #[test]
    fn renames_that_meet_are_refused() {
        for pairs in [
            &[("A", "C"), ("B", "C")][..],
            &[("A", "B"), ("B", "A")],
            &[("A", "B"), ("A", "C")],
            &[("INBOX", "Mail")],
            &[("Mail", "inbox")],
            &[("A", "A/B")],
            &[("A/B", "A")],
        ] {
            assert_eq!(renames(pairs).unwrap_err().kind(), Kind::Config, "{pairs:?}");
        }
        assert_eq!(renames(&[("A", "A")]).unwrap(), Renames::default());
    }

    proptest! {
        #[test]
        fn names_map_one_to_one(
            pairs in prop::collection::vec(("[ab](/[ab]){0,2}", "[abc](/[ab]){0,2}"), 0..4),
            path in "[abc](/[abc]){0,3}",
        ) {
            let pairs: Vec<_> = pairs.iter().map(|(s, l)| (s.as_str(), l.as_str())).collect();
            if let Ok(r) = renames(&pairs) {
                let n = name(&path);
                prop_assert_eq!(r.server(&r.local(&n)), n.clone());
                prop_assert_eq!(r.local(&r.server(&n)), n);
            }
        }
    }
}
