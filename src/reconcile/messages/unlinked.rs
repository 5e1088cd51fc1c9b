//! Files without a link: who they are; those that nobody is go up.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::super::delta::{LocalSide, RemoteSide};
use super::super::identity::{Candidate, Match, Search};
use super::super::merge::common;
use super::super::plan::Action;
use super::super::view::{Direction, LocalContent, RemoteMessage};
use super::Work;
use crate::mail::{Intent, Presence, Uid};

impl<'a> Work<'a, '_> {
    /// Matches files without a link; what stays unmatched goes up. Gives the server's messages that stay unmatched.
    pub(super) fn unlinked(&mut self) -> BTreeMap<Uid, &'a RemoteMessage> {
        if let LocalSide::Listed(listing) = self.scene.local {
            for (file, found) in listing.files.iter().filter(|(id, _)| !self.linked.contains(id)) {
                if let LocalContent::Known { content, ref unstamped, origin, modified } = found.content {
                    let (flags, modified, was, is) = (&found.flags, Some(modified), None, Match::Nothing);
                    let plain = unstamped.as_deref().copied().unwrap_or(content);
                    self.candidates.push(Candidate { file, flags, content, plain, origin, modified, was, is });
                }
            }
        }
        let mut uids = BTreeMap::new();
        if let RemoteSide::Observed(listing) = self.scene.remote {
            let stands = |uid: &Uid| self.scene.links.get(uid).is_some_and(|l| l.presence != Presence::LocalOnly);
            uids.extend(listing.messages.iter().filter(|(uid, _)| !stands(uid)).map(|(uid, m)| (*uid, m)));
        }
        self.counts.1 += uids.len() as u64;
        let gone = self.gone.iter().filter(|(_, (_, there))| there.is_some() || !self.pushes());
        let mut search = Search {
            place: self.scene.place,
            uids,
            gone: gone.map(|(uid, (link, _))| (*uid, *link)).collect(),
            lost: self.gone.iter().filter(|(_, (_, there))| there.is_none()).map(|(uid, _)| *uid).collect(),
            dates: self.scene.dates,
            kept: self.kept.iter().map(|(uid, (link, _))| (*uid, *link)).collect(),
            intents: self.scene.intents.iter().map(|i| (&i.file, i)).collect(),
        };
        let mut candidates = std::mem::take(&mut self.candidates);
        let all = search.uids.clone();
        search.run(&mut candidates);
        for candidate in candidates {
            self.identified(candidate, &all);
        }
        search.uids
    }

    pub(super) fn identified(&mut self, candidate: Candidate<'a>, uids: &BTreeMap<Uid, &'a RemoteMessage>) {
        let Candidate { file, flags: here, content, was, is, .. } = candidate;
        match is {
            Match::Message(uid) => {
                let Some(message) = uids.get(&uid) else { return };
                let begun = |i: &&Intent| {
                    i.file == *file && i.content.digest == content.digest && i.uid_next.is_none_or(|next| uid >= next)
                };
                // What we brought there ourselves had these flags; else nobody knows what was agreed on.
                let flags = match self.scene.intents.iter().find(begun) {
                    Some(intent) => self.permanent.storable(&self.seen(&intent.flags)),
                    None => common(&self.seen(here), &self.seen(&message.flags)),
                };
                self.draft.single.push(Action::Link { uid, file: file.clone(), flags: flags.clone() });
                was.into_iter().for_each(|old| self.draft.forget(old));
                self.pair(uid, Cow::Owned(flags), here, &message.flags);
            }
            Match::Renamed(uid) => {
                let Some((link, there)) = self.gone.remove(&uid) else { return };
                self.draft.single.push(Action::Rename { uid, file: file.clone() });
                match there {
                    Some(there) => self.pair(uid, Cow::Borrowed(&link.flags), here, there),
                    None => self.delete_file(uid, &link.flags, here),
                }
            }
            Match::Kept(uid) => {
                let Some((link, there)) = self.kept.remove(&uid) else { return };
                self.relink(link, file, here, there);
            }
            Match::Nothing if self.policy().direction != Direction::Pull => {
                let flags = self.permanent.storable(&self.seen(here));
                self.draft.uploads.insert(file, (flags, content.wire_size));
            }
            Match::Nothing => {}
        }
    }
}
