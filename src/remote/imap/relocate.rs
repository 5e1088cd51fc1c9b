//! Messages that go to another mailbox without their bodies: UID COPY and UID MOVE (RFC 6851), by set.

use super::capability::Capability;
use super::change::{COMMAND_MOST, Expunged};
use super::command::Command;
use super::copied::CopyUid;
use super::name::WireName;
use super::observe::Access;
use super::reply::{Code, Status};
use super::session::Session;
use crate::error::Result;
use crate::mail::{Uid, UidSet, UidValidity};

/// What became of messages that were copied or moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocated {
    /// Where they went, as far as the server says (UIDPLUS).
    copied: Vec<CopyUid>,
    /// What of them is left at the old place; after a copy, everything.
    pub left: Expunged,
}

impl Relocated {
    /// The UID that `uid` has at its new place, and the generation it is of.
    pub fn of(&self, uid: Uid) -> Option<(UidValidity, Uid)> {
        self.copied.iter().find_map(|copied| Some((copied.validity, copied.of(uid)?)))
    }

    /// Whether the server told where anything went.
    pub fn is_told(&self) -> bool {
        !self.copied.is_empty()
    }
}

impl Session {
    /// Copies messages.
    ///
    /// # Errors
    /// The mailbox was refused or replaced meanwhile (nothing was done), the server refused (some may have been copied),
    /// or the connection is over.
    pub fn copy_messages(
        &mut self,
        mailbox: &WireName,
        validity: UidValidity,
        uids: &UidSet,
        to: &WireName,
    ) -> Result<Relocated> {
        self.open_mailbox(mailbox, Access::ReadWrite, Some(validity))?;
        let (_, copied, refusal) = self.relocate("COPY", uids, to)?;
        refusal.map_or(Ok(Relocated { copied, left: Expunged::Gone }), Err)
    }

    /// Moves messages; where the server has no MOVE, by COPY and what [`Session::expunge`] does.
    ///
    /// # Errors
    /// The mailbox was refused or replaced meanwhile (nothing was done), the server refused (some may have moved; none
    /// is lost), or the connection is over.
    pub fn move_messages(
        &mut self,
        mailbox: &WireName,
        validity: UidValidity,
        uids: &UidSet,
        to: &WireName,
    ) -> Result<Relocated> {
        self.open_mailbox(mailbox, Access::ReadWrite, Some(validity))?;
        let moves = self.capabilities.has(Capability::Move);
        let (done, copied, refusal) = self.relocate(if moves { "MOVE" } else { "COPY" }, uids, to)?;
        let mut left = Expunged::Gone;
        if !moves {
            // Only what has a copy now may go.
            left = self.expunge(mailbox, validity, &done)?;
        }
        refusal.map_or(Ok(Relocated { copied, left }), Err)
    }

    /// Gives what was done, where it went, and the first refusal.
    fn relocate(
        &mut self,
        word: &str,
        uids: &UidSet,
        to: &WireName,
    ) -> Result<(UidSet, Vec<CopyUid>, Option<crate::error::Error>)> {
        let room = COMMAND_MOST.saturating_sub(2 * to.as_bytes().len());
        let chunks = uids.chunks(u64::MAX, room);
        let command = |chunk| Command::new(format_args!("UID {word} {chunk}")).mailbox(to, self.eight_bit);
        let commands: Vec<_> = chunks.iter().map(command).enumerate().collect();
        let mut outcome = self.batch(chunks.len(), commands)?;
        // One that tells of messages nobody asked for tells nothing of the others either.
        outcome.copied.retain(|copied| copied.is_among(uids));
        let done = chunks.iter().zip(&outcome.refused).filter(|(_, refused)| refused.is_none());
        let done: UidSet = done.flat_map(|(chunk, _)| chunk.iter()).collect();
        // That others were faster is no failure.
        let is_gone = |status: &Option<Status>| status.as_ref().is_some_and(|s| s.code == Some(Code::ExpungeIssued));
        let refusal = outcome.refused.iter_mut().filter(|status| !is_gone(status)).find_map(Option::take);
        let words = if word == "COPY" { "The messages cannot be copied" } else { "The messages cannot be moved" };
        Ok((done, outcome.copied, refusal.map(|status| status.refusal(words))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::play;
    use super::*;

    const OPENED: &str = "* 3 EXISTS\n* OK [UIDVALIDITY 7] x\nTAG OK [READ-WRITE]\n";

    fn set(text: &str) -> UidSet {
        UidSet::parse(text).unwrap()
    }

    fn uid(n: u32) -> Uid {
        Uid::new(n).unwrap()
    }

    #[test]
    fn what_could_not_be_copied_stays() {
        let (mut session, log) = play(
            "IMAP4rev1 UIDPLUS",
            &[("SELECT", OPENED), ("UID COPY 1:2 \"b\"", "TAG NO [TRYCREATE] no b\n"), ("UID STORE", "TAG OK\n")],
        );
        let (from, to) = (WireName::new(b"a").unwrap(), WireName::new(b"b").unwrap());
        let error = session.move_messages(&from, UidValidity(7), &set("1:2"), &to).unwrap_err();
        assert!(error.to_string().contains("cannot be copied") || error.to_string().contains("cannot be moved"));
        assert!(!log.lock().unwrap().contains("STORE"));
    }

    #[test]
    fn the_new_uids_come_with_the_move_or_with_its_end() {
        for reply in [
            "* OK [COPYUID 9 1:2 4:5] x\n* VANISHED 1:2\nTAG OK\n",
            "* VANISHED 1:2\nTAG OK [COPYUID 9 1:2 4:5] done\n",
        ] {
            let (mut session, _) = play("IMAP4rev1 UIDPLUS MOVE", &[("SELECT", OPENED), ("UID MOVE 1:2 \"b\"", reply)]);
            let (from, to) = (WireName::new(b"a").unwrap(), WireName::new(b"b").unwrap());
            let moved = session.move_messages(&from, UidValidity(7), &set("1:2"), &to).unwrap();
            assert_eq!(moved.of(uid(2)), Some((UidValidity(9), uid(5))));
            assert_eq!(moved.left, Expunged::Gone);
        }
    }

    #[test]
    fn without_move_the_copy_comes_first_and_a_copy_expunges_nothing() {
        let (from, to) = (WireName::new(b"a").unwrap(), WireName::new(b"b").unwrap());
        let copied = "TAG OK [COPYUID 9 1:2 4:5] done\n";
        let (mut session, log) = play("IMAP4rev1 UIDPLUS", &[("SELECT", OPENED), ("UID COPY 1:2 \"b\"", copied)]);
        let outcome = session.copy_messages(&from, UidValidity(7), &set("1:2"), &to).unwrap();
        assert_eq!(outcome.of(uid(1)), Some((UidValidity(9), uid(4))));
        assert!(!log.lock().unwrap().contains("EXPUNGE"));
        let (mut session, _) = play(
            "IMAP4rev1 UIDPLUS",
            &[
                ("SELECT", OPENED),
                ("UID COPY 1:2 \"b\"", copied),
                ("UID STORE 1:2 +FLAGS.SILENT (\\Deleted)", "TAG OK\n"),
                ("UID EXPUNGE 1:2", "TAG OK\n"),
            ],
        );
        assert!(session.move_messages(&from, UidValidity(7), &set("1:2"), &to).unwrap().is_told());
    }
}
