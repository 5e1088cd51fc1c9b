//! What came to a mailbox on the server out of one whose directory cannot be looked into waits until it can: nobody knows
//! yet which flags were set on its file there.

use super::super::Input;
use super::super::delta::{Delta, LocalSide, RemoteSide};
use super::super::plan::{Action, Plan};
use super::super::view::Direction;
use super::known::Known;
use super::{Left, Source, downloads, links, started_anew};
use crate::mail::{Presence, Uid};

/// Takes such messages out of the downloads; the mailboxes they came to are unfinished.
pub(super) fn wait(input: &Input<'_>, plan: &mut Plan) {
    if !input.has_dark_directories() || input.policy.direction != Direction::Both {
        return;
    }
    let Some(known) = Known::gather(input, plan, || out_of_sight(input)) else { return };
    for (name, actions) in &mut plan.mailboxes {
        for action in actions.iter_mut() {
            let new = downloads(input, name, action).collect::<Vec<_>>();
            let Action::Download { uids, octets } = action else { continue };
            let waiting: Vec<_> = new.into_iter().filter(|(_, message)| !known.sources(message).is_empty()).collect();
            let waits = |uid: &Uid| waiting.iter().any(|(other, _)| other == uid);
            if !waiting.is_empty() {
                plan.unfinished.insert(name.clone());
                *uids = uids.iter().filter(|uid| !waits(uid)).collect();
                let saved = waiting.iter().filter_map(|(_, message)| message.size);
                *octets = saved.fold(*octets, u64::saturating_sub);
            }
        }
        actions.retain(|action| !matches!(action, Action::Download { uids, .. } if uids.is_empty()));
    }
}

/// Messages that are gone from the server, while nothing is known of their files.
fn out_of_sight<'a>(input: &'a Input<'a>) -> impl Iterator<Item = Source<'a>> {
    links(input).filter_map(|(mailbox, base, link)| {
        let remote = input.remote_side(mailbox);
        let is_gone = remote.delta(link) == Delta::Gone && !started_anew(remote, base);
        let is_dark = matches!(LocalSide::of(input.local, mailbox, base), LocalSide::Unknown);
        let is_told = !matches!(remote, RemoteSide::Unknown) && link.presence == Presence::Both;
        (is_gone && is_dark && is_told).then_some(Source { mailbox, link, flags: &link.flags, left: Left::No })
    })
}
