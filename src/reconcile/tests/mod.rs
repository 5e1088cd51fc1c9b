//! The decision tables of [`super`], cell by cell. Plans are compared as short lines, one an action.

mod found;
mod guarding;
mod links;
mod mailboxes;
mod relocating;
mod renaming;
mod scene;
mod sent;
mod unlinked;
