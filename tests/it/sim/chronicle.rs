//! What must hold at the end of a day, whatever users, faults and runs did to each other in it.
//!
//! The model counts each content over the account as a whole, since mailboxes may get other names. With what was there in
//! the evening before, *here* and *there* for what users did on each side, and *late* for what they did after the first
//! run of the day had begun, when a half of it may be done already:
//!
//! | promise | as a bound on how often a content is there |
//! | --- | --- |
//! | nothing is lost | at least: before + arrived (on both sides: once) − deleted here − deleted there |
//! | nothing is doubled, nothing comes back | at most: before + came here + came there − the greater of gone here, gone there |
//! | what nobody touched stays as it is | just as often as before, in the same mailboxes, with the same flags |
//!
//! A move is both, a gain and a loss, so that two moves to two places may both happen. More is allowed only where no
//! synchroniser could know better; [`Day`] says where and why.
//!
//! Of a content that is there once, before and after, every flag that was changed once in the day has changed, and every
//! other has not. Of several that are alike, which of them had a flag nothing tells after a cut; then only that nothing
//! is lost or doubled is promised.

use std::collections::{BTreeMap, BTreeSet};

use mailtide::mail::{Flags, MailboxName, Presence};
use mailtide::reconcile::Side;

use super::log::{Did, Event, Upheaval};
use super::promises::mail;
use super::state::State;
use super::world::{Body, World};

/// Where each content is, with its flags.
pub type Places = BTreeMap<Body, Vec<(MailboxName, Flags)>>;

pub fn places(world: &World) -> Places {
    let mut places = Places::new();
    for (name, all) in mail(world.pictures().0) {
        for (body, flags) in all {
            places.entry(body).or_default().push((name.clone(), flags));
        }
    }
    places
}

/// What happened in a day besides edits.
#[derive(Debug, Clone, Default)]
pub struct Day {
    /// The state was lost, or an older one was put back: what was deleted or moved since may come back, and a mailbox that
    /// got another name has both.
    pub forgetful: bool,
    /// Contents of files that a run could not read. What such a file may be comes down beside it, since mail that comes is
    /// worth more than mail that is there once; with how many runs.
    pub dark: BTreeMap<Body, u32>,
    /// A mailbox could not be looked into: what moved there, or from there, is deleted and new, and its flags start anew.
    pub blind: bool,
    /// What was deleted on days before and stands marked on a server without UIDPLUS, since others' marks stand beside it,
    /// with how often. Only the link tells it from what somebody else has marked, so that without the link it is mail; so
    /// it is when somebody takes it elsewhere, or its mark away.
    pub left: BTreeMap<Body, usize>,
    /// Runs that were cut off with an older state, or none, before the state was lost or put back once more: what they had
    /// made at a new place, and not yet taken from the old one, is there twice and known at neither.
    pub halves: u32,
}

/// What the state knows as [`Day::left`].
pub fn left(state: &State) -> BTreeMap<Body, usize> {
    let links = state.base.values().flat_map(|m| m.links.iter().flatten()).map(|(_, link)| link);
    let mut left = BTreeMap::new();
    for link in links.filter(|l| l.presence == Presence::RemoteOnly && l.flags.is_trashed()) {
        *left.entry(World::body_of(link.digest)).or_default() += 1;
    }
    left
}

/// Holds the world to the promises; `before` is the evening before.
pub fn assert_kept(before: &Places, world: &World, state: &State, day: &Day) {
    assert_same(world, state);
    let now = places(world);
    let touched = world.log.events.iter().map(|e| e.body);
    let all: BTreeSet<Body> = before.keys().chain(now.keys()).copied().chain(touched).collect();
    let none = Vec::new();
    for body in all {
        let (was, is) = (before.get(&body).unwrap_or(&none), now.get(&body).unwrap_or(&none));
        let tale = Tale::of(world, body);
        let told = || format!("{body} on {day:?} by {tale:?}: {was:?} became {is:?}\n{}", world.story());
        assert!(is.len() >= tale.least(was.len()), "lost, {}", told());
        assert!(is.len() <= tale.most(body, was.len(), world, day), "doubled or back, {}", told());
        let is_open = day.dark.contains_key(&body) || day.halves > 0 || day.forgetful && day.left.contains_key(&body);
        if tale.events.is_empty() && world.log.upheavals.is_empty() && !is_open {
            // Which of several that are alike is which, nothing tells without a memory, and their flags may become the same.
            let bare = |all: &[(MailboxName, Flags)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
            let alike = was.len() > 1 && day.forgetful;
            let same = if alike { bare(was) == bare(is) } else { was == is };
            assert!(same, "nobody touched {}", told());
        }
        if let ([(_, was)], [(_, is)]) = (was.as_slice(), is.as_slice())
            && tale.keeps_flags(world, day)
            && !day.left.contains_key(&body)
        {
            tale.assert_flags(was, is, &told);
        }
    }
}

/// How often mail may rightly be in twice as many mailboxes. One that both sides rename, each its own way, is there under
/// both names, with all of its mail. So is one whose new name could not be known for it: without a memory, with new UIDs,
/// where it was dark, or in the midst of a run; there each name may be one more.
fn splits(world: &World, day: &Day) -> u32 {
    let all = &world.log.upheavals;
    let (early, late) = all.split_at(all.len() - world.log.late_upheavals);
    let renamed = [Side::Local, Side::Remote].map(|side| early.contains(&(side, Upheaval::Renamed)));
    let unknown = day.forgetful || day.blind || all.iter().any(|(_, u)| *u == Upheaval::Renumbered);
    let at_once = renamed == [true; 2] || unknown && renamed.contains(&true);
    let names = late.iter().filter(|(_, u)| *u == Upheaval::Renamed).count();
    u32::from(at_once) + names.max(usize::from(!late.is_empty() && !at_once)) as u32
}

/// Both sides hold the same, but for what a server without UIDPLUS has marked by us and cannot let go, as long as others'
/// marks stand beside it: after a lost state even our own do.
fn assert_same(world: &World, state: &State) {
    let (tree, mut server) = world.pictures();
    for (name, mailbox) in &world.server.mailboxes {
        let links = state.base.get(name).and_then(|m| m.links.as_ref());
        let left = |uid| links.and_then(|l| l.get(uid)).is_some_and(|l| l.presence == Presence::RemoteOnly);
        for (_, message) in mailbox.messages.iter().filter(|(uid, m)| m.flags.is_trashed() && left(uid)) {
            let all = server.get_mut(name).expect("it is there");
            let at = all.iter().position(|(body, flags)| (*body, flags) == (message.body, &message.flags));
            at.into_iter().for_each(|at| _ = all.remove(at));
        }
    }
    let (tree, server) = (mail(tree), mail(server));
    assert!(tree == server, "the sides differ\n{}\nhere {tree:?}\nthere {server:?}", world.story());
}

/// What was done to a content.
#[derive(Debug)]
struct Tale<'a> {
    events: Vec<&'a Event>,
}

impl<'a> Tale<'a> {
    fn of(world: &'a World, body: Body) -> Tale<'a> {
        Tale { events: world.log.events.iter().filter(|e| e.body == body).collect() }
    }

    fn count(&self, side: Side, is: impl Fn(&Did) -> bool) -> usize {
        self.events.iter().filter(|e| e.side == side && is(&e.did)).count()
    }

    fn both(&self, is: impl Fn(&Did) -> bool + Copy) -> [usize; 2] {
        [Side::Local, Side::Remote].map(|side| self.count(side, is))
    }

    fn least(&self, was: usize) -> usize {
        let [here, there] = self.both(|did| *did == Did::Arrived);
        let deleted: usize = self.both(|did| *did == Did::Deleted).iter().sum();
        (was + here.max(there)).saturating_sub(deleted)
    }

    fn most(&self, body: Body, was: usize, world: &World, day: &Day) -> usize {
        let gained: usize = self.both(|did| matches!(did, Did::Arrived | Did::Copied | Did::Moved)).iter().sum();
        let [here, there] = self.both(|did| matches!(did, Did::Deleted | Did::Moved));
        let left = day.left.get(&body).copied().unwrap_or(0);
        let most = (was + gained).saturating_sub(here.max(there.saturating_sub(left)));
        let late = self.late(day.dark.contains_key(&body));
        // With new UIDs, another mailbox of the same name, or no memory, what is gone from one side looks new on the other.
        let shaken = !world.log.upheavals.is_empty() || day.forgetful;
        let back = if shaken { here + there } else { 0 };
        let undeleted = self.count(Side::Remote, |did| matches!(did, Did::Flagged(flag) if flag.is_trashed()));
        let back = back + if shaken { left } else { left.min(undeleted) };
        // Where it could not be seen that the server's copy went, what is made of it elsewhere is done before the file that
        // got another name here comes into question: then it may be a copy.
        let renamed = self.count(Side::Local, |did| *did == Did::Renamed);
        let copies = if day.blind { renamed.min(there) } else { 0 };
        let split = (was + gained) * ((1 << splits(world, day)) - 1);
        (most + late + back + copies + split) << (day.dark.get(&body).copied().unwrap_or(0) + day.halves)
    }

    /// How often more it may be there for what was done after the first run had begun. A file that gets another name while
    /// its deletion is carried out looks new; a move that is just being carried out, made by a user on the other side as
    /// well, is made twice; so does and is what was half done when a run was cut off. But what a run brought to one side and
    /// could not record follows what becomes of it on that side before the next one, as long as nobody touches it on the
    /// other, and its file can be read.
    fn late(&self, is_dark: bool) -> usize {
        let stays = |e: &Event| matches!(e.did, Did::Flagged(_));
        let untouched = |side| self.events.iter().filter(|e| e.side == side).all(|e| stays(e));
        let on_one_side = untouched(Side::Local) || untouched(Side::Remote);
        let follows = |e: &Event| e.between && on_one_side && !is_dark;
        let gone_or_new = || self.events.iter().filter(|e| !stays(e));
        match gone_or_new().filter(|e| e.late && !follows(e)).count() {
            0 => 0,
            late => late + gone_or_new().count(),
        }
    }

    /// Whether it was flagged at its old place after it was copied to its new one, and before it was deleted there, which
    /// without MOVE is another step. While a run is at work, it does not look again. In the next one, where the copy was
    /// recorded, and the file has another name, nothing tells that the message which goes there is the one that came here;
    /// recorded it is at once where the server tells, else by a run that finds it while the deletion waits for what could
    /// not be read.
    fn is_flagged_behind(&self, world: &World, day: &Day) -> bool {
        let kind = &world.server.kind;
        let is_recorded = kind.tells_copies || !day.dark.is_empty();
        let unseen = |e: &Event| {
            e.amidst && !kind.moves || world.log.disguised.contains(&e.body) && is_recorded && !kind.uidplus
        };
        let flagged = |e: &&&Event| e.late && e.side == Side::Remote && matches!(e.did, Did::Flagged(_));
        self.count(Side::Local, |did| *did == Did::Moved) > 0 && self.events.iter().filter(flagged).any(|e| unseen(e))
    }

    /// Whether a flag has one meaning: the message did not come to several places, and is known wherever it went.
    fn keeps_flags(&self, world: &World, day: &Day) -> bool {
        let moved = self.both(|did| *did == Did::Moved);
        let others = self.both(|did| matches!(did, Did::Arrived | Did::Copied | Did::Deleted));
        let is_known = world.named || moved[1] == 0;
        moved.iter().sum::<usize>() <= 1
            && others == [0, 0]
            && is_known
            && !self.is_flagged_behind(world, day)
            && world.log.upheavals.is_empty()
            && !day.forgetful
            && !(day.blind && moved != [0, 0])
    }

    fn assert_flags(&self, was: &Flags, is: &Flags, told: &dyn Fn() -> String) {
        let mut changed: BTreeMap<String, (Flags, usize)> = BTreeMap::new();
        for event in &self.events {
            if let Did::Flagged(flag) = &event.did {
                changed.entry(flag.to_string()).or_insert_with(|| (flag.clone(), 0)).1 += 1;
            }
        }
        let mut wanted = was.clone();
        let mut open = Flags::none();
        for (flag, times) in changed.values() {
            match times {
                1 if was.minus(flag) == *was => wanted = wanted.union(flag),
                1 => wanted = wanted.minus(flag),
                _ => open = open.union(flag),
            }
        }
        let (is, wanted) = (is.minus(&open), wanted.minus(&open));
        assert!(is == wanted, "flags are {is}, not {wanted}, {}", told());
    }
}
