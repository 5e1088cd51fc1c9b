//! What downloads and uploads share: how much there is, and how it is cut into jobs for several connections.

use crate::engine::ledger::Ledger;
use crate::mail::UidSet;
use crate::reconcile::Action;
use crate::reconcile::guard::ApprovedPlan;
use crate::report::event::{Event, Progress};

/// One job moves about this many octets at least, so that a connection is worth its opening.
pub const OCTETS_A_JOB: u64 = 8 << 20;
/// And at most this many messages, so that connections end at about the same time.
pub const MESSAGES_A_JOB: u64 = 1000;

/// Messages that a connection asks for at most before it has them. Only the asking is in flight: bodies come as fast as
/// they are taken.
const WINDOW_MOST: u64 = 1024;

/// How many connections a transfer of this size deserves: another one for every two jobs' worth.
pub fn width(octets: u64) -> usize {
    usize::try_from(1 + octets / (2 * OCTETS_A_JOB)).unwrap_or(usize::MAX)
}

/// How many messages a connection asks for before it has them: half of its share, so that all end at about the same time.
pub fn window(messages: u64, connections: usize) -> u64 {
    (messages / (2 * connections.max(1) as u64)).clamp(2, WINDOW_MOST)
}

/// Tells how much is going to be transferred, when anything is.
pub fn expect(ledger: &Ledger<'_>, plan: &ApprovedPlan) {
    let (mut messages, mut octets) = (0, 0);
    for (_, action) in plan.plan().actions() {
        if let Action::Download { octets: more, .. } | Action::Upload { octets: more, .. } = action {
            messages += action.messages();
            octets += more;
        }
    }
    if messages > 0 {
        ledger.event(Event::Progress(Progress::Expected { messages, octets }));
    }
}

/// Cuts `uids` into jobs by the sizes known.
pub fn cut(uids: &UidSet, size: impl Fn(crate::mail::Uid) -> u64) -> Vec<UidSet> {
    let mut jobs: Vec<UidSet> = Vec::new();
    let mut octets = u64::MAX;
    for uid in uids.iter() {
        let full = octets >= OCTETS_A_JOB || jobs.last().is_none_or(|job| job.len() >= MESSAGES_A_JOB);
        if full {
            jobs.push(UidSet::new());
            octets = 0;
        }
        if let Some(job) = jobs.last_mut() {
            job.insert(uid);
        }
        octets = octets.saturating_add(size(uid));
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Uid;

    #[test]
    fn jobs_are_cut_by_octets_and_by_number_and_lose_nothing() {
        let uids = UidSet::range(Uid::MIN, Uid::new(2500).unwrap());
        let by_number = cut(&uids, |_| 1);
        assert_eq!(by_number.iter().map(UidSet::len).collect::<Vec<_>>(), [1000, 1000, 500]);
        let by_octets = cut(&uids, |_| OCTETS_A_JOB / 100);
        assert!(by_octets.iter().all(|job| job.len() <= 101));
        assert_eq!(by_octets.iter().map(UidSet::len).sum::<u64>(), 2500);
        assert!(cut(&UidSet::new(), |_| 1).is_empty());
    }
}
