//! What a run tells while it goes on; how it looks is the renderers' business.

use serde::Serialize;

use crate::error::{Error, ItemFailure};
use crate::mail::MailboxName;
use crate::maildrop;
use crate::reconcile::{Action, Plan, guard::Refusal};

/// What was done to one side, in messages, mailboxes and octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SideCounts {
    /// Messages that arrived.
    pub new: u64,
    /// Messages that came from another mailbox of this side, moved or copied.
    pub moved: u64,
    /// Messages whose flags changed.
    pub flags: u64,
    /// Messages that were removed, moved to Trash or marked.
    pub deleted: u64,
    /// Mailboxes made.
    pub mailboxes_created: u64,
    /// Mailboxes renamed.
    pub mailboxes_renamed: u64,
    /// Mailboxes removed.
    pub mailboxes_removed: u64,
    /// Octets of the messages that arrived.
    pub octets: u64,
}

/// What was done, side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Counts {
    /// In the tree.
    pub local: SideCounts,
    /// On the server.
    pub remote: SideCounts,
    /// Messages recognised as the same on both sides without a transfer.
    pub linked: u64,
    /// Messages and mailboxes that failed.
    pub failed: u64,
}

/// The end of an account's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// What was done.
    pub counts: Counts,
    /// Mailboxes looked at.
    pub mailboxes: u64,
    /// Messages in sync, as far as known.
    pub messages: u64,
    /// Octets sent to the server, on the wire.
    pub sent: u64,
    /// Octets received from the server, on the wire.
    pub received: u64,
    /// Commands sent.
    pub commands: u64,
    /// Wall time in milliseconds.
    pub milliseconds: u64,
}

/// A step of a transfer, for progress bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The plan's transfers, once, before the first: messages and octets in both directions together.
    Expected {
        /// Messages to transfer.
        messages: u64,
        /// Octets to transfer, as far as known.
        octets: u64,
    },
    /// Octets went over the wire for a body.
    Octets(u64),
    /// Messages arrived durably.
    Messages(u64),
}

/// Something a renderer may show.
#[derive(Debug)]
pub enum Event<'a> {
    /// A connection stands: `host`, and in a few words what the server can (`QRESYNC, UIDPLUS, …`).
    Connected {
        /// Host and port.
        host: &'a str,
        /// What the observation will rest on.
        tier: &'a str,
    },
    /// Both sides were observed.
    Observed {
        /// Mailboxes looked at.
        mailboxes: usize,
        /// Mailboxes that changed on either side.
        changed: usize,
    },
    /// The plan; for a dry run and `status` it is the result.
    Planned {
        /// What would be done.
        plan: &'a Plan,
        /// Which part of it the guard refuses.
        refusals: &'a [Refusal],
    },
    /// The plan of a session with a maildrop; for a dry run and `status` it is the result.
    MaildropPlanned {
        /// Where the mail goes.
        mailbox: &'a MailboxName,
        /// What would be done.
        plan: &'a maildrop::Plan,
        /// What the guard refuses; it is no part of the plan any more.
        refusals: &'a [Refusal],
    },
    /// A transfer moved on.
    Progress(Progress),
    /// An action ended; `done` of its messages succeeded (1 for an action on a mailbox).
    Done {
        /// The mailbox.
        mailbox: &'a MailboxName,
        /// The action as planned.
        action: &'a Action,
        /// Messages done.
        done: u64,
        /// Octets transferred.
        octets: u64,
    },
    /// An action on a maildrop ended; `done` of its messages succeeded.
    MaildropDone {
        /// Where the mail goes.
        mailbox: &'a MailboxName,
        /// The action as planned.
        action: &'a maildrop::Action,
        /// Messages done.
        done: u64,
        /// Octets transferred.
        octets: u64,
    },
    /// A mailbox is finished.
    MailboxDone {
        /// The mailbox.
        mailbox: &'a MailboxName,
        /// What was done in it.
        counts: Counts,
    },
    /// A message or mailbox failed; the run goes on.
    Failed(&'a ItemFailure),
    /// The guard refused a part of the plan; the rest is executed.
    Refused(&'a Refusal),
    /// Something a person should know, which is no failure.
    Notice(&'a str),
    /// The account's run ended. Exactly one of this and [`Event::Aborted`] is an account's last event.
    Finished(Summary),
    /// The account's run could not end well.
    Aborted(&'a Error),
}

/// Takes events from any thread, of one account after the other or of several at once.
pub trait Report: Sync {
    /// Takes one event of `account`.
    fn event(&self, account: &str, event: Event<'_>);
}
