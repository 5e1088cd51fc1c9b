//! Making and removing mailboxes.

use super::capability::Capability;
use super::command::Command;
use super::name::WireName;
use super::quirk;
use super::reply::{Code, Status};
use super::session::Session;
use crate::error::Result;

/// What became of a mailbox that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone, or was before.
    Gone,
    /// It holds messages, so it was left.
    StillHolds(u64),
}

impl Session {
    /// Makes a mailbox and subscribes to it, as mail programs do; fine when it exists.
    ///
    /// # Errors
    /// The server refused, or the connection is over.
    pub fn create(&mut self, mailbox: &WireName) -> Result<()> {
        let command = |word: &str| Command::new(word).mailbox(mailbox, self.eight_bit);
        let commands = [(0, command("CREATE")), (1, command("SUBSCRIBE"))];
        let mut refused = self.batch(2, commands)?.refused.into_iter();
        let Some(refusal) = refused.next().flatten().filter(|status| !exists(status)) else { return Ok(()) };
        if refused.next().flatten().is_none() {
            // No subscription stays behind for what is not there.
            self.one(Command::new("UNSUBSCRIBE").mailbox(mailbox, self.eight_bit))?;
        }
        let error = refusal.refusal("The mailbox cannot be created");
        if error.hint_text().is_some() {
            return Err(error);
        }
        Err(error.hint("Rename it in the tree, or leave it out with `mailboxes = [\"*\", \"!NAME\"]`."))
    }

    /// Removes a mailbox that holds no message, and its subscription; fine when it is gone.
    ///
    /// # Errors
    /// The server refused, or the connection is over.
    pub fn delete(&mut self, mailbox: &WireName) -> Result<Deleted> {
        self.leave(mailbox)?;
        match self.messages(mailbox)? {
            Ok(0) => (),
            Ok(held) => return Ok(Deleted::StillHolds(u64::from(held))),
            Err(status) if is_gone(&status) => return Ok(Deleted::Gone),
            Err(status) => return Err(status.refusal("The mailbox cannot be looked at")),
        }
        let command = |word: &str| Command::new(word).mailbox(mailbox, self.eight_bit);
        let commands = [(0, command("DELETE")), (1, command("UNSUBSCRIBE"))];
        let refused = self.batch(2, commands)?.refused.into_iter().next().flatten();
        match refused.filter(|status| !is_gone(status)) {
            Some(refusal) => Err(refusal.refusal("The mailbox cannot be deleted")),
            None => Ok(Deleted::Gone),
        }
    }

    /// Gives a mailbox another name, and its subscription; those below it follow (RFC 3501 §6.3.5).
    ///
    /// # Errors
    /// The server refused, or the connection is over.
    pub fn rename(&mut self, from: &WireName, to: &WireName) -> Result<()> {
        self.leave(from)?;
        if let Some(refused) =
            self.one(Command::new("RENAME").mailbox(from, self.eight_bit).mailbox(to, self.eight_bit))?
        {
            return Err(refused.refusal("The mailbox cannot be renamed"));
        }
        let subscribe = Command::new("SUBSCRIBE").mailbox(to, self.eight_bit);
        let unsubscribe = Command::new("UNSUBSCRIBE").mailbox(from, self.eight_bit);
        self.batch(2, [(0, subscribe), (1, unsubscribe)])?;
        Ok(())
    }

    /// Leaves `mailbox` when it is the open one: Dovecot ends a connection whose open mailbox is deleted. Never by CLOSE,
    /// which would expunge.
    fn leave(&mut self, mailbox: &WireName) -> Result<()> {
        if !self.has_open(mailbox) {
            return Ok(());
        }
        self.selected = None;
        let unselect = self.capabilities.has(Capability::Unselect);
        self.one(Command::new(if unselect { "UNSELECT" } else { "EXAMINE \"INBOX\"" }))?;
        Ok(())
    }
}

fn exists(status: &Status) -> bool {
    status.code == Some(Code::AlreadyExists) || (status.code.is_none() && quirk::says_exists(&status.words))
}

fn is_gone(status: &Status) -> bool {
    status.code == Some(Code::NonExistent) || (status.code.is_none() && quirk::says_gone(&status.words))
}

#[cfg(test)]
mod tests {
    use super::super::scripted::play;
    use super::*;

    fn mailbox() -> WireName {
        WireName::new(b"a").unwrap()
    }

    #[test]
    fn what_exists_is_fine_and_what_is_refused_leaves_no_subscription() {
        for reply in ["TAG OK\n", "TAG NO [ALREADYEXISTS] x\n", "TAG NO Mailbox already exists\n"] {
            let (mut session, _) = play("IMAP4rev1", &[("CREATE \"a\"", reply), ("SUBSCRIBE \"a\"", "TAG OK\n")]);
            session.create(&mailbox()).unwrap();
        }
        let (mut session, _) = play(
            "IMAP4rev1",
            &[
                ("CREATE", "TAG NO [NOPERM] Permission denied\n"),
                ("SUBSCRIBE", "TAG OK\n"),
                ("UNSUBSCRIBE \"a\"", "TAG OK\n"),
            ],
        );
        assert!(session.create(&mailbox()).unwrap_err().to_string().contains("may not do this"));
    }

    #[test]
    fn only_an_empty_mailbox_is_deleted() {
        let (mut session, log) =
            play("IMAP4rev1", &[("STATUS \"a\"", "* STATUS a (MESSAGES 2 UIDVALIDITY 1)\nTAG OK\n")]);
        assert_eq!(session.delete(&mailbox()).unwrap(), Deleted::StillHolds(2));
        assert!(!log.lock().unwrap().contains("DELETE"));
        // An answer that does not tell is no permission.
        let (mut session, log) = play("IMAP4rev1", &[("STATUS \"a\"", "* STATUS a ()\nTAG OK\n")]);
        assert!(session.delete(&mailbox()).is_err());
        assert!(!log.lock().unwrap().contains("DELETE"));
        for reply in ["TAG OK\n", "TAG NO [NONEXISTENT] x\n"] {
            let (mut session, _) = play(
                "IMAP4rev1",
                &[
                    ("STATUS", "* STATUS \"a\" (MESSAGES 0)\nTAG OK\n"),
                    ("DELETE \"a\"", reply),
                    ("UNSUBSCRIBE", "TAG OK\n"),
                ],
            );
            assert_eq!(session.delete(&mailbox()).unwrap(), Deleted::Gone);
        }
        let (mut session, _) = play("IMAP4rev1", &[("STATUS", "TAG NO Mailbox doesn't exist: a\n")]);
        assert_eq!(session.delete(&mailbox()).unwrap(), Deleted::Gone);
    }

    #[test]
    fn an_open_mailbox_is_left_before_it_is_deleted() {
        for (capabilities, leave) in [("IMAP4rev1 UNSELECT", "UNSELECT"), ("IMAP4rev1", "EXAMINE \"INBOX\"")] {
            let (mut session, _) = play(
                capabilities,
                &[
                    ("EXAMINE \"a\"", "* OK [UIDVALIDITY 7] x\nTAG OK\n"),
                    ("UID FETCH 1 ", "TAG OK\n"),
                    (leave, "TAG OK\n"),
                    ("STATUS", "* STATUS \"a\" (MESSAGES 0)\nTAG OK\n"),
                    ("DELETE", "TAG OK\n"),
                    ("UNSUBSCRIBE", "TAG OK\n"),
                ],
            );
            session.header_fields(&mailbox(), &crate::mail::UidSet::parse("1").unwrap()).unwrap();
            assert_eq!(session.delete(&mailbox()).unwrap(), Deleted::Gone);
        }
    }
}
