//! What became of APPENDs of a run that broke off.
//!
//! A killed run leaves octets on their way: in our kernel's buffers, on the line, in the server's. The server goes on
//! storing what it has received, also while the next run already looks, and nothing tells when it is done. A message
//! that is sent again too early is there twice. So a file with an open intent that the plan would send is *in doubt*:
//!
//! 1. What is found on the server by its content is linked and never sent. That is the planner's, at each look.
//! 2. While anything is in doubt, nothing is sent. The mailboxes in doubt have to be *quiet* first: neither MESSAGES nor
//!    UIDNEXT moves for a time that depends on the server's pace, which is how long it took for each command's messages
//!    of the broken run that are already there: those of one command turn up at one moment. Several times as long as that, [`AT_LEAST`] and [`AT_MOST`]; [`UNKNOWN`] where
//!    none is there, as nothing is known of the pace then. After [`LONG_AGO`] no server is still at it.
//! 3. Then both sides are looked at anew. What is still missing was lost, and is sent again.
//! 4. A mailbox that others keep busy is never quiet. So after [`PATIENCE`] it is looked at all the same; as long as one
//!    of ours turned up since the look before, it is waited on. Each round finds one more, so this ends.
//! 5. Between that look and the sending there may be minutes of other work. So immediately before a file in doubt is
//!    sent, what arrived in the meantime is compared once more (`execute::upload`).
//!
//! What remains: a server that stores one of them after all of this makes a copy of it. It is kept, on both sides: when
//! unsure, the mail stays.

use std::time::{Duration, Instant};

use super::clock;
use super::observe::Observation;
use crate::error::Result;
use crate::mail::{FileId, MailboxName, UnixSeconds};
use crate::reconcile::{Action, Here, Plan, Relocation};
use crate::remote::imap::{Session, WireName};
use crate::stop::Stop;

/// The quiet that is always asked for.
const AT_LEAST: Duration = Duration::from_secs(2);
/// The quiet that is enough, however slow the server is.
const AT_MOST: Duration = Duration::from_secs(30);
/// The quiet where the server's pace is not known.
const UNKNOWN: Duration = Duration::from_secs(15);
/// How many commands the server could have carried out in a quiet, by its pace.
const PACES: u32 = 4;
/// After this no server is still at what a broken run sent.
const LONG_AGO: Duration = Duration::from_secs(600);
/// How long to wait for a quiet that does not come.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often to look.
const STEP: Duration = Duration::from_millis(250);

/// Whether it is known what became of APPENDs of a broken run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentBefore {
    /// It is not.
    Unsettled,
    /// The mailboxes did not become quiet while this many files were in doubt.
    Restless(usize),
    /// The server has had time to store what it had received.
    Settled,
}

/// What a plan means for files whose last sending has an unknown outcome.
#[derive(Debug, PartialEq, Eq)]
pub struct Doubts<'p> {
    /// The mailboxes with files in doubt.
    pub mailboxes: Vec<&'p MailboxName>,
    /// How many files are in doubt.
    pub files: usize,
    /// How many were found on the server.
    found: u32,
}

impl<'p> Doubts<'p> {
    /// Reads them off a plan.
    pub fn of(plan: &'p Plan, seen: &Observation<'_>) -> Doubts<'p> {
        let mut doubts = Doubts { mailboxes: Vec::new(), files: 0, found: 0 };
        for (name, actions) in &plan.mailboxes {
            let Some(intents) = seen.intents.get(name) else { continue };
            let intended = |wanted: &FileId| intents.iter().any(|i| i.file == *wanted);
            let before = doubts.files;
            for action in actions {
                match action {
                    Action::Upload { file, .. }
                    | Action::Move(Relocation { here: Here::File(file), .. })
                    | Action::Copy(Relocation { here: Here::File(file), .. })
                        if intended(file) =>
                    {
                        doubts.files += 1;
                    }
                    Action::Link { file, .. } if intended(file) => doubts.found += 1,
                    _ => {}
                }
            }
            if doubts.files > before {
                doubts.mailboxes.push(name);
            }
        }
        doubts
    }

    /// Whether nothing may be sent yet.
    pub fn must_wait(&self, sent_before: SentBefore) -> bool {
        self.files > 0
            && match sent_before {
                SentBefore::Unsettled => true,
                SentBefore::Restless(files) => self.files < files,
                SentBefore::Settled => false,
            }
    }

    /// How long nothing may have arrived; `age` is the time since the broken run began to send, when that is known, and
    /// `together` how many messages a command may have brought.
    pub fn quiet(&self, age: Option<Duration>, together: u32) -> Duration {
        let commands = self.found.div_ceil(together.max(1));
        match age {
            Some(age) if age > LONG_AGO => AT_LEAST,
            Some(age) if commands > 0 => (age / commands * PACES).clamp(AT_LEAST, AT_MOST),
            Some(_) | None => UNKNOWN,
        }
    }
}

/// The time since `begun`; `None` when that is not known, or still to come by this clock.
pub fn age(begun: Option<UnixSeconds>, now: UnixSeconds) -> Option<Duration> {
    let seconds = u64::try_from(now.0.checked_sub(begun?.0)?).ok()?;
    // The first of these seconds may have been nearly over.
    Some(Duration::from_secs(seconds + 1))
}

/// Whether no server is still at what was sent since `begun`.
pub fn is_long_ago(begun: Option<UnixSeconds>, now: UnixSeconds) -> bool {
    age(begun, now).is_some_and(|age| age > LONG_AGO)
}

/// Waits until `mailboxes` have been quiet, or for [`PATIENCE`], while `files` are in doubt.
pub fn wait(
    session: &mut Session,
    mailboxes: &[WireName],
    files: usize,
    quiet: Duration,
    stop: &Stop,
) -> Result<SentBefore> {
    let wires: Vec<&WireName> = mailboxes.iter().collect();
    let begun = Instant::now();
    let (mut since, mut last) = (begun, None);
    while since.elapsed() < quiet {
        if begun.elapsed() > PATIENCE {
            return Ok(SentBefore::Restless(files));
        }
        let now: Vec<_> =
            session.status(&wires)?.into_iter().map(|s| s.ok().map(|s| (s.messages, s.uid_next))).collect();
        if last.as_ref() != Some(&now) {
            since = Instant::now();
            last = Some(now);
        }
        clock::sleep(STEP, stop)?;
    }
    Ok(SentBefore::Settled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubts(files: usize, found: u32) -> Doubts<'static> {
        Doubts { mailboxes: Vec::new(), files, found }
    }

    #[test]
    fn the_quiet_follows_the_servers_pace() {
        let seconds = |n| Some(Duration::from_secs(n));
        // A fast server, a slow one, a very slow one.
        assert_eq!(doubts(9, 100).quiet(seconds(2), 1), AT_LEAST);
        assert_eq!(doubts(9, 2).quiet(seconds(6), 1), Duration::from_secs(12));
        assert_eq!(doubts(9, 1).quiet(seconds(60), 1), AT_MOST);
        // A hundred that came at once tell of one command only.
        assert_eq!(doubts(9, 100).quiet(seconds(2), 100), Duration::from_secs(8));
        assert_eq!(doubts(9, 101).quiet(seconds(6), 100), Duration::from_secs(12));
        // One that has stored nothing, and one of which nothing is known.
        assert_eq!(doubts(9, 0).quiet(seconds(1), 1), UNKNOWN);
        assert_eq!(doubts(9, 5).quiet(None, 1), UNKNOWN);
        assert_eq!(doubts(9, 0).quiet(seconds(3600), 1), AT_LEAST);
    }

    #[test]
    fn clocks_that_were_set_back_tell_nothing() {
        assert_eq!(age(Some(UnixSeconds(10)), UnixSeconds(12)), Some(Duration::from_secs(3)));
        assert_eq!(age(Some(UnixSeconds(10)), UnixSeconds(9)), None);
        assert_eq!(age(Some(UnixSeconds(i64::MIN)), UnixSeconds(9)), None);
        assert_eq!(age(None, UnixSeconds(9)), None);
    }

    #[test]
    fn a_busy_mailbox_is_waited_on_as_long_as_ours_turn_up() {
        assert!(doubts(3, 0).must_wait(SentBefore::Unsettled));
        assert!(doubts(2, 1).must_wait(SentBefore::Restless(3)));
        assert!(!doubts(2, 1).must_wait(SentBefore::Restless(2)));
        assert!(!doubts(2, 1).must_wait(SentBefore::Settled));
        assert!(!doubts(0, 3).must_wait(SentBefore::Unsettled));
    }
}
