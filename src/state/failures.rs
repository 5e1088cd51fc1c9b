//! What is not in sync yet and since when: for `status` and for the exit code.

use std::collections::BTreeMap;

use rusqlite::{Connection, TransactionBehavior, params};

use super::{State, fault};
use crate::error::{Item, ItemFailure, Reach, Result};
use crate::mail::{MailboxName, UnixSeconds};

/// A failure that no later run has cured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// What failed, as it was said last.
    pub failure: ItemFailure,
    /// When it failed for the first time.
    pub first_seen: UnixSeconds,
}

impl State {
    /// All unresolved failures, by mailbox and item.
    pub fn failures(&self) -> Result<Vec<Unresolved>> {
        let all = read(&self.connection).map_err(|e| self.fault(e))?;
        Ok(all.into_values().collect())
    }

    /// Takes the failures of a run that looked at the mailboxes `select` takes: what failed before keeps its first time,
    /// what is new gets `now`, what is no longer among them is resolved. Other mailboxes' failures stay.
    ///
    /// Nothing is written when nothing changes.
    pub fn replace_failures(
        &mut self,
        failures: &[ItemFailure],
        select: &dyn Fn(&MailboxName) -> bool,
        now: UnixSeconds,
    ) -> Result<()> {
        let path = &self.path;
        replace(&mut self.connection, failures, select, now).map_err(|e| fault::sqlite(path, e))
    }
}

type Failures = BTreeMap<(MailboxName, Item), Unresolved>;

fn read(connection: &Connection) -> rusqlite::Result<Failures> {
    let mut statement = connection.prepare_cached("SELECT mailbox, item, what, hint, first_seen FROM failure")?;
    let rows = statement.query_map([], |row| {
        let (mailbox, item, what, hint) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let failure = ItemFailure { mailbox, item, what, hint, reach: Reach::Here };
        let key = (failure.mailbox.clone(), failure.item.clone());
        Ok((key, Unresolved { failure, first_seen: row.get(4)? }))
    })?;
    rows.collect()
}

fn replace(
    connection: &mut Connection,
    failures: &[ItemFailure],
    select: &dyn Fn(&MailboxName) -> bool,
    now: UnixSeconds,
) -> rusqlite::Result<()> {
    let before = read(connection)?;
    let mut after: Failures = before.clone();
    after.retain(|(mailbox, _), _| !select(mailbox));
    for failure in failures {
        let key = (failure.mailbox.clone(), failure.item.clone());
        let first_seen = before.get(&key).map_or(now, |old| old.first_seen);
        after.insert(key, Unresolved { failure: failure.clone(), first_seen });
    }
    if after == before {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (key, _) in before.iter().filter(|(key, old)| after.get(key) != Some(old)) {
        transaction
            .prepare_cached("DELETE FROM failure WHERE mailbox = ?1 AND item = ?2")?
            .execute(params![key.0, key.1])?;
    }
    for (key, new) in after.iter().filter(|(key, new)| before.get(key) != Some(new)) {
        let Unresolved { failure, first_seen } = new;
        transaction
            .prepare_cached("INSERT INTO failure (mailbox, item, what, hint, first_seen) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![key.0, key.1, failure.what, failure.hint, first_seen])?;
    }
    fault::commit(transaction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{AccountId, FileId, MessageNumber, Uid, Uidl};

    fn failure(mailbox: &str, item: Item, what: &str) -> ItemFailure {
        let mailbox = MailboxName::parse(mailbox).unwrap();
        ItemFailure { mailbox, item, what: what.to_owned(), hint: Some("Do it.".to_owned()), reach: Reach::Here }
    }

    #[test]
    fn a_failure_keeps_its_first_time_until_it_is_resolved() {
        let mut state = State::in_memory(AccountId(1)).unwrap();
        let uid = Item::Message(Uid::new(7).unwrap());
        let (a, b) = (failure("a", uid.clone(), "first"), failure("b", Item::Mailbox, "no"));
        let c = failure("a", Item::File(FileId::new("mailbox")), "odd");
        let everything = |_: &MailboxName| true;
        state.replace_failures(&[a.clone(), b.clone()], &everything, UnixSeconds(10)).unwrap();

        // A run of `a` only: its old failure is said otherwise, one is new; `b` was not looked at.
        let again = failure("a", uid, "second");
        let only_a = |name: &MailboxName| name.path() == "a";
        state.replace_failures(&[again.clone(), c.clone(), again.clone()], &only_a, UnixSeconds(20)).unwrap();
        let at = |failure: &ItemFailure, time| Unresolved { failure: failure.clone(), first_seen: UnixSeconds(time) };
        assert_eq!(state.failures().unwrap(), [at(&again, 10), at(&c, 20), at(&b, 10)]);

        let before = state.connection.total_changes();
        state.replace_failures(&[c.clone(), again], &only_a, UnixSeconds(30)).unwrap();
        assert_eq!(state.connection.total_changes(), before, "nothing new, nothing written");

        state.replace_failures(&[], &only_a, UnixSeconds(40)).unwrap();
        assert_eq!(state.failures().unwrap(), [at(&b, 10)]);
        state.replace_failures(std::slice::from_ref(&c), &everything, UnixSeconds(50)).unwrap();
        assert_eq!(state.failures().unwrap(), [at(&c, 50)]);
    }

    #[test]
    fn every_kind_of_item_comes_back() {
        let mut state = State::in_memory(AccountId(1)).unwrap();
        let uidl = |octets: &[u8]| Item::Uidl(Uidl::new(octets).unwrap());
        let items = [
            Item::Mailbox,
            Item::Message(Uid::new(7).unwrap()),
            Item::File(FileId::new("mailbox")),
            uidl(b"mailbox"),
            uidl(b"\xff\0 7"),
            Item::Number(MessageNumber::new(7).unwrap()),
        ];
        let failures: Vec<_> = items.iter().map(|item| failure("a", item.clone(), "no")).collect();
        state.replace_failures(&failures, &|_| true, UnixSeconds(1)).unwrap();
        let known: Vec<Item> = state.failures().unwrap().into_iter().map(|u| u.failure.item).collect();
        assert!(known.len() == items.len() && items.iter().all(|item| known.contains(item)), "{known:?}");
    }
}
