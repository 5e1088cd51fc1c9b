//! What becomes of the copy that is left when the other side's copy was deleted: the deletion policy as a table.

use super::plan::Disposal;
use super::view::Deletions;
use crate::mail::Flags;

/// What becomes of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is removed or marked.
    Disposed(Disposal),
    /// It stays as it is; its mark, if it has one, stands for the deletion.
    KeptMarked,
    /// It stays as it is, whatever its flags.
    Kept,
}

/// Where a deleted message of a mailbox on the server goes under [`Deletions::Trash`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bin {
    /// To the Trash mailbox.
    Elsewhere,
    /// Nowhere: it is there, or comes there by itself.
    Reached,
    /// No Trash is known.
    Unknown,
}

/// Whether a mailbox can keep `\Deleted` (PERMANENTFLAGS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    Kept,
    Lost,
}

/// The fate of a file with these flags.
pub(super) fn of_file(deletions: Deletions, now: &Flags) -> Fate {
    match deletions {
        Deletions::Expunge | Deletions::Trash => Fate::Disposed(Disposal::Expunge),
        Deletions::Mark => marked(now, Marks::Kept),
        Deletions::Never => Fate::Kept,
    }
}

/// The fate of a message on the server with these flags.
pub(super) fn of_message(deletions: Deletions, now: &Flags, bin: Bin, marks: Marks) -> Fate {
    match (deletions, bin) {
        (Deletions::Expunge, _) | (Deletions::Trash, Bin::Reached) => Fate::Disposed(Disposal::Expunge),
        (Deletions::Trash, Bin::Elsewhere) => Fate::Disposed(Disposal::Trash),
        (Deletions::Trash, Bin::Unknown) | (Deletions::Mark, _) => marked(now, marks),
        (Deletions::Never, _) => Fate::Kept,
    }
}

fn marked(now: &Flags, marks: Marks) -> Fate {
    match marks {
        _ if now.is_trashed() => Fate::KeptMarked,
        Marks::Kept => Fate::Disposed(Disposal::Mark),
        Marks::Lost => Fate::Kept,
    }
}
