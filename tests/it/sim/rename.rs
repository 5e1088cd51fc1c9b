//! Mailboxes that get another name: on either side, and in what a run sees and does of it.

use std::collections::{BTreeMap, BTreeSet};

use mailtide::mail::{Base, Fact, MailboxId, MailboxName};
use mailtide::reconcile::renames::{LocalTrace, RemoteTrace, Trace, Traces, find, ring_of};
use mailtide::reconcile::view::{Direction, TreeAge};
use mailtide::reconcile::{Action, Names, Plan, Renamed, Side};

use super::execute::{Run, Step};
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

impl Run<'_> {
    /// All effects, then all facts at once; where directories change places, after each change.
    pub fn rename_mailboxes(&mut self, plan: &Plan) -> Step {
        let (mut done, mut ids) = (BTreeSet::new(), Vec::new());
        let mut places = BTreeMap::new();
        for renamed in self.seen.names.renamed.clone() {
            let Renamed { from, to, follows, .. } = &renamed;
            let action = Action::RenameMailbox { side: *follows, from: from.clone() };
            assert!(plan.mailboxes[to].contains(&action), "{renamed:?} is not in the plan");
            let went = match follows {
                None => Some(None),
                Some(_) => {
                    self.step()?;
                    self.rename_on(&renamed, &done, &mut places)
                }
            };
            if let Some(changed_places) = went {
                self.world.story.push(format!("  the mailbox {from} is {to} now ({follows:?} followed)"));
                done.insert((from.clone(), to.clone()));
                ids.push((self.seen.base[to].id, to.clone()));
                if let Some((other, place)) = changed_places {
                    ids.push((self.seen.base[&other].id, place));
                    self.record_names(&ids)?;
                    ids.clear();
                }
            } else {
                self.failed_renames += 1;
                self.break_off(to);
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

    /// Gives the mailbox, by its new name, with which another one's directory changed places, and its place; nothing at
    /// all where it failed.
    fn rename_on(
        &mut self,
        renamed: &Renamed,
        done: &BTreeSet<(MailboxName, MailboxName)>,
        places: &mut BTreeMap<MailboxName, MailboxName>,
    ) -> Option<Option<(MailboxName, MailboxName)>> {
        let Renamed { from, to, follows, .. } = renamed;
        let rest = |name: &MailboxName, above: &MailboxName| {
            name.is_below(above).then(|| name.path()[above.path().len()..].to_owned())
        };
        let came_along = done.iter().any(|(above, now)| rest(from, above).is_some_and(|r| rest(to, now) == Some(r)));
        let takes_along = *follows == Some(Side::Remote) || self.world.layout == Layout::Nested;
        let place = places.get(from).unwrap_or(from).clone();
        if place == *to || came_along && takes_along {
            return Some(None);
        }
        if *follows == Some(Side::Remote) {
            return self.world.server.rename(from, to).then_some(None);
        }
        let has_it = |r: &&Renamed| {
            r.follows == *follows
                && places.get(&r.from).unwrap_or(&r.from) == to
                && !done.contains(&(r.from.clone(), r.to.clone()))
        };
        let all = &self.seen.names.renamed;
        let Some(other) = all.iter().find(has_it).cloned() else {
            return self.world.rename_directory(&place, to).then_some(None);
        };
        if !ring_of(&other, all).contains(&renamed) || !self.exchange(&place, to) {
            return None;
        }
        places.insert(other.from, place.clone());
        Some(Some((other.to, place)))
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
