//! Links by what identifies their message, in whatever mailbox: the way to a message that came from elsewhere.

use std::collections::BTreeSet;

use rusqlite::{Params, Row};

use super::State;
use super::base::{LINK, link};
use crate::error::Result;
use crate::mail::{Digest, Link, MailboxId, UnixSeconds};

/// What a link is looked for by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traits {
    /// Its content.
    pub digests: BTreeSet<Digest>,
    /// Its INTERNALDATE and octets on the wire.
    pub dates: BTreeSet<(UnixSeconds, u64)>,
}

impl State {
    /// All links that have one of `traits`, with their mailboxes; one that has several comes several times.
    pub fn kin(&self, traits: &Traits) -> Result<Vec<(MailboxId, Link)>> {
        let select = |condition: &str| format!("SELECT {LINK}, mailbox FROM link WHERE {condition}");
        let mut kin = Vec::new();
        for digest in &traits.digests {
            self.gather(&select("digest = ?1"), [digest], &mut kin)?;
        }
        for (date, size) in &traits.dates {
            self.gather(&select("internal_date = ?1 AND size = ?2"), (date, size.cast_signed()), &mut kin)?;
        }
        Ok(kin)
    }

    fn gather(&self, sql: &str, by: impl Params, kin: &mut Vec<(MailboxId, Link)>) -> Result<()> {
        let read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map(by, |row: &Row<'_>| Ok((row.get(10)?, link(row)?)))?;
            rows.into_iter().try_for_each(|row| row.map(|row| kin.push(row)))
        };
        // The closure runs once; `by` is moved into it.
        read().map_err(|e| self.fault(e))
    }
}
