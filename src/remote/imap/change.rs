//! Changes to messages: flags, expunging. Nothing here is sent before the mailbox is open and its UIDVALIDITY
//! is the one the caller means.

use super::capability::Capability;
use super::command::Command;
use super::name::WireName;
use super::observe::Access;
use super::reply::Status;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::mail::{FlagChange, Flags, Uid, UidSet, UidValidity};

/// Octets a command may have; RFC 7162 §4 wants clients to stay below 8192.
pub(super) const COMMAND_MOST: usize = 8000;

/// Ranges of a set that may be said twice.
const RANGES_TWICE: usize = 50;

/// What became of messages that were to be expunged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expunged {
    /// They are gone.
    Gone,
    /// They are marked `\Deleted` and still there: without UIDPLUS an EXPUNGE would also have removed what others marked.
    LeftMarked {
        /// How many messages others have marked.
        foreign: u64,
    },
}

/// What became of changes to flags.
#[derive(Debug)]
pub struct Stored {
    /// One for each change, in order: an error where the server refused it for some or all of its messages.
    pub results: Vec<Result<()>>,
    /// The messages that were there to be changed, as far as the server tells.
    pub there: UidSet,
}

impl Session {
    /// Changes flags. A STORE of a message that another client moved or removed meanwhile is OK and does nothing (RFC
    /// 3501 §6.4.8), so that the messages that are still there are asked for in the same flight.
    ///
    /// # Errors
    /// The mailbox was refused or replaced meanwhile (nothing was done), or the connection is over.
    pub fn store(
        &mut self,
        mailbox: &WireName,
        validity: UidValidity,
        changes: &[(UidSet, FlagChange)],
    ) -> Result<Stored> {
        self.open_mailbox(mailbox, Access::ReadWrite, Some(validity))?;
        let commands = changes.iter().enumerate().flat_map(|(item, (uids, change))| {
            let added = stores(uids, '+', &change.add);
            added.chain(stores(uids, '-', &change.remove)).map(move |command| (item, command))
        });
        let mut all = UidSet::new();
        changes.iter().for_each(|(uids, _)| all.insert_all(uids));
        let esearch = self.capabilities.has(Capability::Esearch);
        // Ranges come back: where all is still there, one is shorter than the set said twice.
        let whole = all.first().zip(all.last()).filter(|_| esearch && all.ranges().len() > RANGES_TWICE);
        let asked = whole.map_or_else(|| all.clone(), |(first, last)| UidSet::range(first, last));
        let searches = asked.chunks(u64::MAX, COMMAND_MOST);
        let search = |chunk| (changes.len(), self.uid_search(format_args!("UID {chunk}")));
        let searches: Vec<_> = searches.iter().map(search).collect();
        let mut outcome = self.batch(changes.len() + 1, commands.chain(searches))?;
        let unsearched = outcome.refused.pop().flatten().is_some();
        let result = |refused: Option<Status>| match refused {
            Some(refused) => Err(refused.refusal("The flags cannot be changed")),
            None => Ok(()),
        };
        let results = outcome.refused.into_iter().map(result).collect();
        let found = outcome.found.filter(|_| !unsearched);
        let is_found = |uid: Uid| found.as_ref().is_none_or(|found| found.contains(uid));
        // Dovecot searches what it last showed, and tells at the end of a flight what went.
        let there = match outcome.expunged {
            true => UidSet::new(),
            false => all.iter().filter(|uid| is_found(*uid) && !outcome.vanished.contains(*uid)).collect(),
        };
        Ok(Stored { results, there })
    }

    /// Removes messages for good.
    ///
    /// # Errors
    /// The mailbox was refused or replaced meanwhile (nothing was done), the server refused (some may be gone), or the
    /// connection is over.
    pub fn expunge(&mut self, mailbox: &WireName, validity: UidValidity, uids: &UidSet) -> Result<Expunged> {
        if uids.is_empty() {
            return Ok(Expunged::Gone);
        }
        self.open_mailbox(mailbox, Access::ReadWrite, Some(validity))?;
        let mut deleted = Flags::none();
        deleted.insert_imap("\\Deleted");
        let mark = stores(uids, '+', &deleted);
        if self.capabilities.has(Capability::Uidplus) {
            let chunks = uids.chunks(u64::MAX, COMMAND_MOST);
            let commands = mark.chain(chunks.iter().map(|c| Command::new(format_args!("UID EXPUNGE {c}"))));
            let outcome = self.batch(1, commands.map(|command| (0, command)))?;
            return gone(outcome.refused);
        }
        // Everything that is marked would go: so look last, and expunge only what is all ours.
        let commands = mark.chain([Command::new("UID SEARCH DELETED")]);
        let outcome = self.batch(1, commands.map(|command| (0, command)))?;
        let found = outcome.found;
        gone(outcome.refused)?;
        let found = found.ok_or_else(|| {
            Error::new(Kind::Protocol, "The server does not tell which messages are marked \\Deleted")
        })?;
        let ours = uids.iter().filter(|uid| found.contains(*uid)).count() as u64;
        let foreign = found.len().saturating_sub(ours);
        if foreign > 0 {
            return Ok(Expunged::LeftMarked { foreign });
        }
        let refused = self.one(Command::new("EXPUNGE"))?;
        gone(vec![refused])
    }
}

/// The commands that add (`+`) or remove (`-`) flags; none when there is nothing to do.
fn stores(uids: &UidSet, sign: char, flags: &Flags) -> impl Iterator<Item = Command> + use<> {
    let names = flags.imap_names().collect::<Vec<_>>().join(" ");
    let room = COMMAND_MOST.saturating_sub(names.len()).max(COMMAND_MOST / 4);
    let chunks = if flags.is_empty() { Vec::new() } else { uids.chunks(u64::MAX, room) };
    chunks.into_iter().map(move |chunk| Command::new(format_args!("UID STORE {chunk} {sign}FLAGS.SILENT ({names})")))
}

fn gone(refused: Vec<Option<Status>>) -> Result<Expunged> {
    match refused.into_iter().flatten().next() {
        Some(refused) => Err(refused.refusal("The messages cannot be deleted")),
        None => Ok(Expunged::Gone),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Scripted, play, tagged};
    use super::*;

    const OPENED: &str = "* 3 EXISTS\n* OK [UIDVALIDITY 7] x\nTAG OK [READ-WRITE]\n";

    fn mailbox() -> WireName {
        WireName::new(b"a").unwrap()
    }

    fn flags(names: &[&str]) -> Flags {
        let mut flags = Flags::none();
        names.iter().for_each(|name| flags.insert_imap(name));
        flags
    }

    fn set(text: &str) -> UidSet {
        UidSet::parse(text).unwrap()
    }

    fn add_seen(session: &mut Session, uids: &UidSet) -> Stored {
        let change = FlagChange { add: flags(&["\\Seen"]), remove: Flags::none() };
        session.store(&mailbox(), UidValidity(7), &[(uids.clone(), change)]).unwrap()
    }

    #[test]
    fn a_change_is_one_or_two_commands_and_fails_alone() {
        let (mut session, _) = play(
            "IMAP4rev1",
            &[
                ("SELECT \"a\"", OPENED),
                ("UID STORE 1:3,9 +FLAGS.SILENT (\\Seen Work)", "TAG OK\n"),
                ("UID STORE 1:3,9 -FLAGS.SILENT (\\Flagged)", "* 1 FETCH (FLAGS (\\Seen))\n* VANISHED 9,77\nTAG OK\n"),
                ("UID STORE 4 +FLAGS.SILENT (New)", "TAG NO [LIMIT] too many keywords\n"),
                ("UID SEARCH UID 1:5,9", "* SEARCH 1 9 3 4 5\nTAG OK\n"),
            ],
        );
        let changes = [
            (set("1:3,9"), FlagChange { add: flags(&["\\Seen", "Work"]), remove: flags(&["\\Flagged"]) }),
            (set("4"), FlagChange { add: flags(&["New"]), remove: Flags::none() }),
            (set("5"), FlagChange::default()),
        ];
        let Stored { results, there } = session.store(&mailbox(), UidValidity(7), &changes).unwrap();
        assert_eq!(there, set("1,3:5"), "2 and 9 went before they could be changed");
        assert_eq!(results.len(), 3);
        assert!(results[0].is_ok() && results[2].is_ok());
        assert!(results[1].as_ref().unwrap_err().to_string().contains("too many keywords"));
    }

    #[test]
    fn where_it_is_not_known_what_went_nothing_is_taken_for_changed() {
        let (mut session, _) = play(
            "IMAP4rev1",
            &[
                ("SELECT \"a\"", OPENED),
                ("UID STORE 1:2", "TAG OK\n"),
                ("UID SEARCH UID 1:2", "* SEARCH 1 2\n* 2 EXPUNGE\nTAG OK\n"),
            ],
        );
        let stored = add_seen(&mut session, &set("1:2"));
        assert!(stored.results[0].is_ok() && stored.there.is_empty());
    }

    #[test]
    fn what_is_still_there_is_asked_for_in_one_range() {
        let uids: UidSet = (1..200).filter_map(|n| crate::mail::Uid::new(2 * n)).collect();
        let (mut session, _) = play(
            "IMAP4rev1 ESEARCH",
            &[
                ("SELECT \"a\"", OPENED),
                ("UID STORE 2,4,6,", "TAG OK\n"),
                ("UID SEARCH RETURN (ALL) UID 2:398", "* ESEARCH (TAG \"A3\") UID ALL 1:99,101:400\nTAG OK\n"),
            ],
        );
        let there = add_seen(&mut session, &uids).there;
        assert_eq!(there.len(), uids.len() - 1);
        assert!(!there.contains(Uid::new(100).unwrap()));
    }

    #[test]
    fn nothing_is_changed_in_a_mailbox_that_is_not_the_one_meant() {
        for reply in ["* OK [UIDVALIDITY 8] x\nTAG OK\n", "TAG NO gone\n", "TAG OK\n"] {
            let (mut session, log) = play("IMAP4rev1 UIDPLUS MOVE", &[("SELECT \"a\"", reply)]);
            assert!(session.expunge(&mailbox(), UidValidity(7), &set("1")).is_err());
            assert_eq!(log.lock().unwrap().lines().count(), 1);
        }
    }

    #[test]
    fn without_uidplus_marks_of_others_forbid_the_expunge() {
        let script = |found: &'static str| {
            vec![
                ("SELECT", OPENED),
                ("UID STORE 1:2 +FLAGS.SILENT (\\Deleted)", "TAG OK\n"),
                ("UID SEARCH DELETED", found),
            ]
        };
        let (mut session, log) = play("IMAP4rev1", &script("* SEARCH 1 2 5 6\nTAG OK\n"));
        let outcome = session.expunge(&mailbox(), UidValidity(7), &set("1:2")).unwrap();
        assert_eq!(outcome, Expunged::LeftMarked { foreign: 2 });
        assert!(!log.lock().unwrap().contains("EXPUNGE"));

        let mut clean = script("* SEARCH 2 1\nTAG OK\n");
        clean.push(("EXPUNGE", "* 1 EXPUNGE\n* 1 EXPUNGE\nTAG OK\n"));
        let (mut session, _) = play("IMAP4rev1", &clean);
        assert_eq!(session.expunge(&mailbox(), UidValidity(7), &set("1:2")).unwrap(), Expunged::Gone);

        // A search that says nothing allows nothing.
        let (mut session, log) = play("IMAP4rev1", &script("TAG OK\n"));
        assert!(session.expunge(&mailbox(), UidValidity(7), &set("1:2")).is_err());
        assert!(!log.lock().unwrap().contains(" EXPUNGE"));
    }

    #[test]
    fn with_uidplus_it_is_one_flight_by_uid() {
        let script = [
            ("SELECT", OPENED),
            ("UID STORE 1:2 +FLAGS.SILENT (\\Deleted)", "TAG OK\n"),
            ("UID EXPUNGE 1:2", "* VANISHED 1:2\nTAG OK\n"),
        ];
        let (mut session, _) = play("IMAP4rev1 UIDPLUS", &script);
        assert_eq!(session.expunge(&mailbox(), UidValidity(7), &set("1:2")).unwrap(), Expunged::Gone);
        assert_eq!(session.expunge(&mailbox(), UidValidity(7), &UidSet::new()).unwrap(), Expunged::Gone);
    }

    #[test]
    fn commands_are_bounded_in_length() {
        let (mut session, log) = Scripted::session("IMAP4rev1 UIDPLUS", |line| {
            let opening = if line.contains("SELECT") { "* OK [UIDVALIDITY 7] x\n" } else { "" };
            opening.to_owned() + &tagged(line, "TAG OK\n")
        });
        let uids: UidSet = (1..40_000).filter_map(|n| crate::mail::Uid::new(n * 3)).collect();
        let long = "k".repeat(200);
        let change = FlagChange { add: flags(&[&long, "b"]), remove: flags(&["c"]) };
        let stored = session.store(&mailbox(), UidValidity(7), &[(uids.clone(), change)]).unwrap();
        assert!(stored.results[0].is_ok());
        assert_eq!(stored.there, uids, "a server that does not search says nothing");
        session.expunge(&mailbox(), UidValidity(7), &uids).unwrap();
        session.move_messages(&mailbox(), UidValidity(7), &uids, &WireName::new(long.as_bytes()).unwrap()).unwrap();
        let log = log.lock().unwrap();
        assert!(log.lines().all(|line| line.len() < 8192));
        assert!(log.lines().count() > 100);
    }
}
