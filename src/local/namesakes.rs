//! Files of one mailbox that have one unique part. No program makes them, but a backup that is put back over a tree whose
//! flags moved on does, and so does a mail program that ends in the midst of a rename.
//!
//! Those that hold the same are one message with the flags of them all, but for `\Deleted`, which all must have; one file
//! of it stays, on disk before the others go. Another message gets a unique part of its own, so that nobody takes the one
//! for the other when their flags change.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;

use super::dir::flush;
use super::name::{self, LetterSet, Letters};
use super::scan::{Listing, ScannedFile};
use super::settle::{Place, Sub};
use super::store::Store;
use super::temporary::fresh_name;
use super::trouble::shown;
use crate::error::Result;
use crate::mail::{Digest, FileId, Flags, MailboxName, SystemFlag};

/// The files of one unique part.
struct Group {
    /// The one that goes by it.
    known: FileId,
    /// Of one content, `known` among them unless it is another's file that goes by the unique part.
    alike: Vec<FileId>,
    /// All others.
    others: Vec<FileId>,
}

impl Listing {
    /// Whether files share a unique part.
    pub fn has_namesakes(&self) -> bool {
        self.files.values().any(ScannedFile::goes_by_whole_name)
    }
}

impl Store {
    /// Lets namesakes be one message or have different names, durably; gives how many messages had several files.
    ///
    /// `linked` has the digests of messages that are known, by their files. What cannot be read, or done, stays.
    pub fn settle_namesakes(
        &self,
        mailbox: &MailboxName,
        listing: &Listing,
        linked: &BTreeMap<FileId, Digest>,
    ) -> Result<usize> {
        let mut touched = BTreeSet::new();
        let mut merged = 0;
        let groups = self.groups(mailbox, listing, linked)?;
        let boxes = self.boxes(mailbox)?;
        for Group { alike, others, .. } in &groups {
            let places = |ids: &[FileId]| -> Vec<&Place> {
                ids.iter().filter_map(|id| listing.files.get(id)).map(ScannedFile::place).collect()
            };
            let alike = places(alike);
            if let Some(name) = name_of_all(&alike).filter(|_| alike.len() > 1) {
                let is_named = |place: &&Place| place.sub == Sub::Cur && *place.name == *name;
                let Some(stays) = alike.iter().copied().find(is_named).or(alike.first().copied()) else { continue };
                let merge = || -> io::Result<()> {
                    flush(&boxes.sub(stays.sub).open_file(&stays.name)?)?;
                    if !is_named(&stays) {
                        boxes.sub(stays.sub).rename_new(&stays.name, boxes.sub(Sub::Cur), &name)?;
                    }
                    let go = alike.iter().filter(|place| **place != stays);
                    go.clone().try_for_each(|place| boxes.sub(place.sub).remove_file(&place.name))
                };
                match merge() {
                    Ok(()) => merged += 1,
                    Err(e) => log::debug!("{}: its namesakes stay: {e}", shown(name.as_ref())),
                }
                touched.extend(alike.iter().map(|place| place.sub).chain([Sub::Cur]));
            }
            for Place { sub, name } in places(others) {
                let fresh = name::renamed(name, format!("{}.parted", fresh_name()).as_ref());
                let renamed = boxes.sub(*sub).rename_new(name, boxes.sub(*sub), &fresh);
                touched.extend(renamed.is_ok().then_some(*sub));
            }
        }
        touched.into_iter().try_for_each(|sub| boxes.sub(sub).sync())?;
        Ok(merged)
    }

    /// Lists namesakes as one message where [`Store::settle_namesakes`] would make them one; gives how many those are.
    pub fn list_namesakes_as_one(
        &self,
        mailbox: &MailboxName,
        listing: &mut Listing,
        linked: &BTreeMap<FileId, Digest>,
    ) -> Result<usize> {
        let mut merged = 0;
        for Group { known, alike, .. } in self.groups(mailbox, listing, linked)? {
            if alike.len() < 2 || !alike.contains(&known) {
                continue;
            }
            let flags: Vec<Flags> = alike.iter().filter_map(|id| Some(listing.files.get(id)?.flags.clone())).collect();
            listing.files.retain(|id, _| *id == known || !alike.contains(id));
            if let Some(file) = listing.files.get_mut(&known) {
                file.flags = flags_of_all(&flags);
                merged += 1;
            }
        }
        Ok(merged)
    }

    /// Reads all that share a unique part; a group of which something cannot be read is left as it is.
    fn groups(
        &self,
        mailbox: &MailboxName,
        listing: &Listing,
        linked: &BTreeMap<FileId, Digest>,
    ) -> Result<Vec<Group>> {
        let mut by_unique: BTreeMap<FileId, Vec<FileId>> = BTreeMap::new();
        for (id, file) in listing.files.iter().filter(|(_, file)| file.goes_by_whole_name()) {
            by_unique.entry(FileId::new(name::unique(&file.place().name))).or_default().push(id.clone());
        }
        let mut groups = Vec::new();
        for (known, more) in by_unique {
            let mut contents: BTreeMap<&FileId, Digest> = BTreeMap::new();
            for id in std::iter::once(&known).chain(&more) {
                let read = listing.files.get(id).map(|file| self.examine(mailbox, file));
                if let Some(Ok(Some(examined))) = read {
                    contents.insert(id, examined.contents.whole.digest);
                }
            }
            if contents.len() <= more.len() {
                continue;
            }
            let agreed = linked.get(&known).filter(|agreed| contents.values().any(|digest| digest == *agreed));
            let Some(content) = agreed.or_else(|| contents.get(&known)).copied() else { continue };
            // One that is a message to both sides already stays one.
            let is_alike =
                |id: &FileId| contents.get(id) == Some(&content) && (*id == known || !linked.contains_key(id));
            let (alike, others) = std::iter::once(&known).chain(&more).cloned().partition(is_alike);
            groups.push(Group { known, alike, others });
        }
        Ok(groups)
    }
}

/// The name of the one file that stays of these.
fn name_of_all(places: &[&Place]) -> Option<OsString> {
    let all: Vec<Letters> = places.iter().map(|place| Letters::of(&place.name)).collect();
    let mut letters = all.first()?.clone();
    let flags: Vec<Flags> = all.iter().map(|l| Flags { system: l.system, ..Flags::none() }).collect();
    letters.system = flags_of_all(&flags).system;
    letters.keywords = all.iter().fold(LetterSet::default(), |keywords, letters| keywords.union(letters.keywords));
    Some(letters.name(name::unique(&places.first()?.name)))
}

/// What any of them has, but for `\Deleted`, which all must have.
fn flags_of_all(all: &[Flags]) -> Flags {
    let mut union = all.iter().fold(Flags::none(), |union, flags| union.union(flags));
    if !all.iter().all(Flags::is_trashed) {
        union.system.remove(SystemFlag::Trashed);
    }
    union
}

#[cfg(test)]
mod tests;
