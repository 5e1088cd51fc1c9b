//! The base, read: checkpoints of all mailboxes in one statement, links of one mailbox at a time.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row};

use super::{State, columns};
use crate::error::Result;
use crate::mail::{
    Base, BaseMailbox, Link, LocalCheckpoint, MailboxId, MailboxName, PermanentFlags, Presence, RemoteCheckpoint, Uid,
    UidSet, UidValidity,
};

/// What [`link`] reads of a row.
pub(super) const LINK: &str = "uid, file, presence, flags, keywords, size, digest, message_id, internal_date, email_id";

impl State {
    /// The mailboxes whose names `select` takes, with their checkpoints and counts; `links` are left out.
    pub fn base(&self, select: &dyn Fn(&MailboxName) -> bool) -> Result<Base> {
        let read = || -> rusqlite::Result<_> {
            let mut statement = self.connection.prepare_cached("SELECT * FROM mailbox")?;
            let rows = statement.query_map([], |row| Ok((row.get("name")?, mailbox(row)?)))?;
            rows.filter(|row| row.as_ref().map_or(true, |(name, _)| select(name))).collect()
        };
        read().map_err(|e| self.fault(e))
    }

    /// All links of a mailbox; [`crate::error::Kind::Damaged`] when they are not as many as were recorded.
    pub fn links(&self, mailbox: MailboxId) -> Result<BTreeMap<Uid, Link>> {
        let mut links = Vec::new();
        self.each_link(mailbox, |link| links.push((link.uid, link)))?;
        Ok(links.into_iter().collect())
    }

    /// Gives every link of a mailbox, by rising UID; [`crate::error::Kind::Damaged`] when they are not as many as were
    /// recorded.
    pub fn each_link(&self, mailbox: MailboxId, take: impl FnMut(Link)) -> Result<()> {
        let counted = || -> rusqlite::Result<_> {
            let count = "SELECT links FROM mailbox WHERE id = ?1";
            let counted = self.connection.prepare_cached(count)?.query_row([mailbox], |row| row.get(0)).optional()?;
            Ok(counted.map_or(0, i64::cast_unsigned))
        };
        let counted = counted().map_err(|e| self.fault(e))?;
        self.links_between(mailbox, &[(Uid::MIN, Uid::MAX)], counted, take)
    }

    /// The links of `uids`, which a mailbox has; [`crate::error::Kind::Damaged`] when it has not.
    pub fn links_of(&self, mailbox: MailboxId, uids: &UidSet) -> Result<Vec<Link>> {
        let mut links = Vec::new();
        self.links_between(mailbox, uids.ranges(), uids.len(), |link| links.push(link))?;
        Ok(links)
    }

    /// Gives the links with UIDs in `ranges`, of which there are as many as `counted`.
    fn links_between(
        &self,
        mailbox: MailboxId,
        ranges: &[(Uid, Uid)],
        counted: u64,
        mut take: impl FnMut(Link),
    ) -> Result<()> {
        let mut read = || -> rusqlite::Result<u64> {
            let links = format!("SELECT {LINK} FROM link WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 ORDER BY uid");
            let mut statement = self.connection.prepare_cached(&links)?;
            let mut given = 0;
            for (first, last) in ranges {
                let mut rows = statement.query((mailbox, first, last))?;
                while let Some(row) = rows.next()? {
                    take(link(row)?);
                    given += 1;
                }
            }
            Ok(given)
        };
        // A page that lost its way would else be mail that was deleted.
        if read().map_err(|e| self.fault(e))? == counted { Ok(()) } else { Err(super::fault::damaged(&self.path)) }
    }

    /// The UIDs that the server should still have: those of links it has a copy for.
    pub fn known_uids(&self, mailbox: MailboxId) -> Result<UidSet> {
        let read = || -> rusqlite::Result<_> {
            let mut statement = self
                .connection
                .prepare_cached("SELECT uid FROM link WHERE mailbox = ?1 AND presence <> ?2 ORDER BY uid")?;
            let uids = statement.query_map((mailbox, Presence::LocalOnly), |row| row.get::<_, Uid>(0))?;
            uids.collect()
        };
        read().map_err(|e| self.fault(e))
    }

    /// The id of a mailbox: the recorded one, else the one that its name gives ([`MailboxId::of_path`]), else the next
    /// one that no other mailbox has or was promised in this run. Nothing is recorded.
    pub fn id_for(&self, name: &MailboxName) -> Result<MailboxId> {
        let mut promised = self.promised.borrow_mut();
        let find = || -> rusqlite::Result<_> {
            let of_name = "SELECT id FROM mailbox WHERE name = ?1";
            if let Some(id) = self.connection.prepare_cached(of_name)?.query_row([name], |row| row.get(0)).optional()? {
                return Ok(id);
            }
            let mut taken = self.connection.prepare_cached("SELECT 1 FROM mailbox WHERE id = ?1")?;
            let mut id = MailboxId::of_path(name.path());
            while taken.exists([id])? || promised.get(&id).is_some_and(|other| other != name) {
                id = MailboxId(id.0.wrapping_add(1));
            }
            Ok(id)
        };
        let id = find().map_err(|e| self.fault(e))?;
        promised.insert(id, name.clone());
        Ok(id)
    }
}

fn mailbox(row: &Row<'_>) -> rusqlite::Result<BaseMailbox> {
    let remote = match row.get::<_, Option<UidValidity>>("uid_validity")? {
        None => None,
        Some(uid_validity) => Some(RemoteCheckpoint {
            uid_validity,
            uid_next: row.get("uid_next")?,
            highest_modseq: row.get("highest_modseq")?,
            messages: row.get("messages")?,
            permanent: PermanentFlags {
                named: columns::flags(
                    row.get("permanent_flags")?,
                    row.get::<_, Option<String>>("permanent_keywords")?.as_deref(),
                ),
                any_keyword: row.get("any_keyword")?,
            },
            object_id: row.get("object_id")?,
        }),
    };
    let local = match row.get::<_, Option<i64>>("new_mtime")? {
        None => None,
        Some(new_time) => Some(LocalCheckpoint {
            new_time,
            cur_time: row.get("cur_mtime")?,
            inode: row.get::<_, i64>("inode")?.cast_unsigned(),
        }),
    };
    let link_count = row.get::<_, i64>("links")?.cast_unsigned();
    Ok(BaseMailbox { remote, local, link_count, ..BaseMailbox::new(row.get("id")?) })
}

/// Reads a row of [`LINKS`], by position: by name, a million rows would take twice as long.
pub(super) fn link(row: &Row<'_>) -> rusqlite::Result<Link> {
    Ok(Link {
        uid: row.get(0)?,
        file: row.get(1)?,
        presence: row.get(2)?,
        flags: columns::flags(row.get(3)?, row.get_ref(4)?.as_str_or_null()?),
        size: row.get::<_, i64>(5)?.cast_unsigned(),
        digest: row.get(6)?,
        message_id: row.get(7)?,
        internal_date: row.get(8)?,
        email_id: row.get(9)?,
    })
}
