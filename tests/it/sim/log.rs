//! What users did, message by message and mailbox by mailbox: what a model needs to tell how things may end.

use std::collections::BTreeSet;

use mailtide::mail::Flags;
use mailtide::reconcile::Side;

use super::world::Body;

/// See the module's page.
#[derive(Debug, Clone, Default)]
pub struct Log {
    pub events: Vec<Event>,
    pub upheavals: Vec<(Side, Upheaval)>,
    /// How many of them came after the first run had begun.
    pub late_upheavals: usize,
    /// Contents of files that got another name, where they were or in another mailbox.
    pub disguised: BTreeSet<Body>,
    /// A run has begun: what is done from now on meets a half of it.
    pub late: bool,
    /// A run is at work.
    pub amidst: bool,
    /// One run has ended, and the next has not begun.
    pub between: bool,
}

/// What was done to a message.
#[derive(Debug, Clone)]
pub struct Event {
    pub side: Side,
    pub body: Body,
    pub did: Did,
    pub late: bool,
    pub amidst: bool,
    pub between: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Did {
    Arrived,
    Deleted,
    /// To another mailbox.
    Moved,
    Copied,
    /// Another name for its file.
    Renamed,
    /// These were set, or taken away.
    Flagged(Flags),
}

/// What was done to a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upheaval {
    Made,
    Removed,
    Renamed,
    /// It has new UIDs.
    Renumbered,
}

impl Log {
    pub fn did(&mut self, side: Side, body: Body, did: Did) {
        self.events.push(Event { side, body, did, late: self.late, amidst: self.amidst, between: self.between });
    }

    pub fn shook(&mut self, side: Side, upheaval: Upheaval) {
        self.upheavals.push((side, upheaval));
        self.late_upheavals += usize::from(self.late);
    }
}
