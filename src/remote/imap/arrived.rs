//! Which UIDs a mailbox has from one on: a question with no upper end, so it is asked as a search and never as a list of
//! UIDs, of which there are four thousand million.

use super::command::Command;
use super::name::WireName;
use super::observe::Access;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::mail::{Uid, UidSet, UidValidity};

impl Session {
    /// The UIDs from `from` on, those included that have just arrived.
    ///
    /// # Errors
    /// The mailbox was refused or replaced meanwhile, the server does not search, or the connection is over.
    pub fn uids_from(&mut self, mailbox: &WireName, validity: UidValidity, from: Uid) -> Result<UidSet> {
        self.open_mailbox(mailbox, Access::ReadOnly, Some(validity))?;
        // Where the mailbox was open before, NOOP makes the server look at it again (RFC 3501 §6.1.2).
        let search = Command::new(format_args!("UID SEARCH UID {from}:*"));
        let mut outcome = self.batch(2, [(0, Command::new("NOOP")), (1, search)])?;
        if let Some(refused) = outcome.refused.pop().flatten() {
            return Err(refused.refusal("The mailbox cannot be searched"));
        }
        let found = outcome
            .found
            .ok_or_else(|| Error::new(Kind::Protocol, "The server does not tell which messages the mailbox holds"))?;
        // A range up to `*` names the last message, however low its UID is (RFC 3501 §6.4.8).
        Ok(found.iter().filter(|uid| *uid >= from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::play;
    use super::*;

    fn uids(script: &[(&str, &str)]) -> Result<UidSet> {
        let (mut session, _) = play("IMAP4rev1", script);
        let mailbox = WireName::new(b"a").unwrap();
        session.uids_from(&mailbox, UidValidity(7), Uid::new(5).unwrap())
    }

    #[test]
    fn the_last_message_is_not_new_because_it_is_the_last() {
        let open = ("EXAMINE \"a\"", "* OK [UIDVALIDITY 7] x\nTAG OK\n");
        let noop = ("NOOP", "* 9 EXISTS\nTAG OK\n");
        let asked = "UID SEARCH UID 5:*";
        let found = uids(&[open, noop, (asked, "* SEARCH 5 9\nTAG OK\n")]).unwrap();
        assert_eq!(found, UidSet::parse("5,9").unwrap());
        assert!(uids(&[open, noop, (asked, "* SEARCH 4\nTAG OK\n")]).unwrap().is_empty());
        assert!(uids(&[open, noop, (asked, "* SEARCH\nTAG OK\n")]).unwrap().is_empty());
        // Silence is no answer.
        assert_eq!(uids(&[open, noop, (asked, "TAG OK\n")]).unwrap_err().kind(), Kind::Protocol);
        assert_eq!(uids(&[open, noop, (asked, "TAG NO x\n")]).unwrap_err().kind(), Kind::Refused);
    }
}
