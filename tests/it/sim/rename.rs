//! Mailboxes that get another name: on either side, and in what a run sees and does of it.

use std::collections::BTreeMap;

use mailtide::mail::{Base, Fact, MailboxId, MailboxName};
use mailtide::reconcile::renames::{LocalTrace, RemoteTrace, Trace, Traces, find, is_along, ring_of};
use mailtide::reconcile::view::{Direction, TreeAge};
use mailtide::reconcile::{Action, Names, Plan, Renamed, Side};

use super::execute::{Crash, Run, Step};
use super::observe::{Look, Scan};
use super::world::{Layout, World};

/// Renames a mailbox and what is below it; nothing happens where something is in the way.
pub fn with_below<T>(map: &mut BTreeMap<MailboxName, T>, from: &MailboxName, to: &MailboxName) -> bool {
    let in_the_way = map.keys().any(|name| name == to || name.is_below(to));
    if !map.contains_key(from) || in_the_way || to.is_below(from) {
        return false;
    }
    let all: Vec<MailboxName> = map.keys().filter(|name| *name == from || name.is_below(from)).cloned().collect();
    for old in all {
        let rest = &old.path()[from.path().len()..];
        let new = MailboxName::parse(&format!("{to}{rest}")).expect("it is a name");
        map.remove(&old).into_iter().for_each(|value| _ = map.insert(new.clone(), value));
    }
    true
}

/// Exchanges two mailboxes and what is below them.
fn exchange<T>(map: &mut BTreeMap<MailboxName, T>, one: &MailboxName, other: &MailboxName) -> bool {
    let aside = MailboxName::parse("being exchanged").expect("it is a name");
    with_below(map, one, &aside) && with_below(map, other, one) && with_below(map, &aside, other)
}

/// Finds renamed mailboxes, as the engine does.
pub fn look<'a>(
    world: &World,
    base: &Base,
    scans: &BTreeMap<MailboxName, Scan<'a>>,
    looks: &BTreeMap<MailboxName, Look<'a>>,
    direction: Direction,
    age: TreeAge,
) -> Names {
    let ids: BTreeMap<&MailboxName, String> = looks
        .iter()
        .filter_map(|(name, look)| match look {
            Look::Observed { mailbox, has_object_id: true, .. } => Some((name, format!("m{}", mailbox.object_id))),
            _ => None,
        })
        .collect();
    let mut traces = Traces { age, ..Traces::default() };
    for (name, scan) in scans {
        let trace = match scan {
            Scan::Unchanged(_) => Trace::Known,
            Scan::Unknown => Trace::Unknown,
            Scan::Listed(directory) => {
                Trace::Seen(LocalTrace { inode: directory.inode, files: directory.files.keys().collect() })
            }
        };
        traces.local.insert(name, trace);
    }
    for (name, look) in looks {
        let trace = match look {
            Look::Unchanged => Trace::Known,
            Look::Unknown => Trace::Unknown,
            Look::Observed { since: Some(_), .. } => Trace::Known,
            Look::Observed { mailbox, since: None, .. } => Trace::Seen(RemoteTrace {
                uid_validity: mailbox.uid_validity,
                object_id: ids.get(name).map(String::as_str),
                messages: mailbox.messages.iter().map(|(uid, m)| (*uid, world.size_and_date(m))).collect(),
            }),
        };
        traces.remote.insert(name, trace);
    }
    find(base, &traces, direction)
}

/// Moves entries from old to new names, all at once; gives what had a new name before and is now gone.
pub fn rename<T>(
    map: &mut BTreeMap<MailboxName, T>,
    renamed: &[Renamed],
    follows: Option<Side>,
) -> Vec<(MailboxName, T)> {
    let of_side: Vec<&Renamed> = renamed.iter().filter(|r| follows.is_none() || r.follows == follows).collect();
    let old = |r: &Renamed| if follows.is_none() { r.known.clone() } else { r.from.clone() };
    let taken: Vec<_> = of_side.iter().filter_map(|r| Some((r.to.clone(), map.remove(&old(r))?))).collect();
    let replaced = of_side.iter().filter_map(|r| Some((r.to.clone(), map.remove(&r.to)?))).collect();
    map.extend(taken);
    replaced
}

/// How far a run has come with its renames.
#[derive(Default)]
struct Followed {
    done: Vec<Renamed>,
    failed: Vec<Renamed>,
    /// Directories that had to make room, by the mailbox's old name: where they are.
    places: BTreeMap<MailboxName, MailboxName>,
}

/// A mailbox, by its new name, with which another one's directory changed places, and its place now.
type ChangedPlaces = Option<(MailboxName, MailboxName)>;

impl Run<'_> {
    /// All effects, then all facts at once; where directories change places, after each change.
    pub fn rename_mailboxes(&mut self, plan: &Plan) -> Step {
        let (mut followed, mut ids) = (Followed::default(), Vec::new());
        for renamed in self.seen.names.renamed.clone() {
            let Renamed { from, to, follows, .. } = &renamed;
            let action = Action::RenameMailbox { side: *follows, from: from.clone() };
            assert!(plan.mailboxes[to].contains(&action), "{renamed:?} is not in the plan");
            let went = match follows {
                None => Some(None),
                Some(_) => {
                    self.step()?;
                    self.follow(&renamed, &mut followed)?
                }
            };
            if let Some(changed_places) = went {
                self.world.story.push(format!("  the mailbox {from} is {to} now ({follows:?} followed)"));
                ids.push((self.seen.base[to].id, to.clone()));
                if let Some((other, place)) = changed_places {
                    ids.push((self.seen.base[&other].id, place));
                    self.record_names(&ids)?;
                    ids.clear();
                }
                followed.done.push(renamed);
            } else {
                self.failed_renames += 1;
                self.break_off(to);
                followed.failed.push(renamed);
            }
        }
        if ids.is_empty() { Ok(()) } else { self.record_names(&ids) }
    }

    fn record_names(&mut self, ids: &[(MailboxId, MailboxName)]) -> Step {
        self.step()?;
        let replaced = ids.iter().filter_map(|(_, to)| self.seen.replaced.get(to));
        let gone = replaced.map(|id| Fact::MailboxForgotten(*id));
        let named = ids.iter().map(|(id, name)| Fact::MailboxRenamed(*id, name.clone()));
        let facts: Vec<Fact> = gone.chain(named).collect();
        self.record(facts);
        self.written();
        Ok(())
    }

    /// Renames it on the side that follows; nothing at all where that failed.
    fn follow(&mut self, renamed: &Renamed, followed: &mut Followed) -> Result<Option<ChangedPlaces>, Crash> {
        let Renamed { from, to, follows, .. } = renamed;
        let takes_along = *follows == Some(Side::Remote) || self.world.layout == Layout::Nested;
        let is_with = |above: &Renamed| above.follows == *follows && takes_along && is_along(above, from, to);
        let ring = ring_of(renamed, &self.seen.names.renamed);
        let is_needed = |other: &Renamed| ring.contains(&other) || other.from == *to && other.follows == *follows;
        if followed.failed.iter().any(|failed| is_with(failed) || is_needed(failed)) {
            return Ok(None);
        }
        let place_of = |r: &Renamed| followed.places.get(&r.from).unwrap_or(&r.from).clone();
        let place = place_of(renamed);
        if place == *to || followed.done.iter().any(is_with) {
            return Ok(Some(None));
        }
        if *follows == Some(Side::Remote) {
            let aside = MailboxName::aside(|name| self.world.server.mailboxes.contains_key(name));
            let Some((_, others)) = ring.split_first() else {
                return Ok(self.world.server.rename(from, to).then_some(None));
            };
            let others: Vec<_> = others.iter().rev().map(|r| (r.from.clone(), r.to.clone())).collect();
            let steps = [vec![(from.clone(), aside.clone())], others.clone(), vec![(aside, to.clone())]].concat();
            for (n, (from, to)) in steps.iter().enumerate() {
                if !self.world.server.rename(from, to) {
                    steps[..n].iter().rev().for_each(|(from, to)| _ = self.world.server.rename(to, from));
                    return Ok(None);
                }
                self.step()?;
            }
            followed.places.extend(others);
            return Ok(Some(None));
        }
        let is_in_the_way = |other: &&&Renamed| place_of(other) == *to && !followed.done.contains(other);
        match ring.iter().find(is_in_the_way).copied().cloned() {
            None => Ok(self.world.rename_directory(&place, to).then_some(None)),
            Some(other) => {
                followed.places.insert(other.from, place.clone());
                Ok(self.exchange(&place, to).then_some(Some((other.to, place))))
            }
        }
    }

    /// Exchanges two directories, and what is below them where that stands in them.
    fn exchange(&mut self, one: &MailboxName, other: &MailboxName) -> bool {
        let tree = &mut self.world.tree;
        match self.world.layout {
            Layout::Nested => exchange(tree, one, other),
            Layout::Flat => match (tree.remove(one), tree.remove(other)) {
                (Some(a), Some(b)) => {
                    tree.extend([(other.clone(), a), (one.clone(), b)]);
                    true
                }
                (a, b) => {
                    tree.extend([(one.clone(), a), (other.clone(), b)].into_iter().filter_map(|(n, d)| Some((n, d?))));
                    false
                }
            },
        }
    }
}
