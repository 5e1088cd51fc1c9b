//! Mailboxes that get another name: on either side, and in what a run sees and does of it.

use std::collections::{BTreeMap, BTreeSet};

use mailtide::mail::{Base, Fact, MailboxId, MailboxName};
use mailtide::reconcile::renames::{LocalTrace, RemoteTrace, Trace, Traces, find};
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
    let taken: Vec<_> = of_side.iter().filter_map(|r| Some((r.to.clone(), map.remove(&r.from)?))).collect();
    let replaced = of_side.iter().filter_map(|r| Some((r.to.clone(), map.remove(&r.to)?))).collect();
    map.extend(taken);
    replaced
}

impl Run<'_> {
    /// All effects, then all facts at once.
    pub fn rename_mailboxes(&mut self, plan: &Plan) -> Step {
        let (mut done, mut ids) = (BTreeSet::new(), Vec::new());
        for renamed in self.seen.names.renamed.clone() {
            let Renamed { from, to, follows } = &renamed;
            let action = Action::RenameMailbox { side: *follows, from: from.clone() };
            assert!(plan.mailboxes[to].contains(&action), "{renamed:?} is not in the plan");
            let went = match follows {
                None => true,
                Some(side) => {
                    self.step()?;
                    self.rename_on(*side, from, to, &done)
                }
            };
            if went {
                self.world.story.push(format!("  the mailbox {from} is {to} now ({follows:?} followed)"));
                done.insert((from.clone(), to.clone()));
                ids.push((self.seen.base[to].id, to.clone()));
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

    fn rename_on(
        &mut self,
        side: Side,
        from: &MailboxName,
        to: &MailboxName,
        done: &BTreeSet<(MailboxName, MailboxName)>,
    ) -> bool {
        let rest = |name: &MailboxName, above: &MailboxName| {
            name.is_below(above).then(|| name.path()[above.path().len()..].to_owned())
        };
        let came_along = done.iter().any(|(above, now)| rest(from, above).is_some_and(|r| rest(to, now) == Some(r)));
        let takes_along = side == Side::Remote || self.world.layout == Layout::Nested;
        if came_along && takes_along {
            return true;
        }
        match side {
            Side::Remote => self.world.server.rename(from, to),
            Side::Local if done.contains(&(to.clone(), from.clone())) => true,
            Side::Local if self.seen.names.renamed.iter().any(|r| r.from == *to && r.to == *from) => {
                match self.world.layout {
                    Layout::Nested => exchange(&mut self.world.tree, from, to),
                    Layout::Flat => {
                        if !(self.world.tree.contains_key(from) && self.world.tree.contains_key(to)) {
                            return false;
                        }
                        let both = (self.world.tree.remove(from), self.world.tree.remove(to));
                        let (Some(one), Some(other)) = both else { return false };
                        self.world.tree.insert(to.clone(), one);
                        self.world.tree.insert(from.clone(), other);
                        true
                    }
                }
            }
            Side::Local => self.world.rename_directory(from, to),
        }
    }
}
