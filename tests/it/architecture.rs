//! The tree is what `src/lib.rs` draws: layers one way, each file opening with what it models, none too long.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Longer than this needs a scroll bar to be understood.
const MOST_LINES: usize = 450;
/// A file of nothing but tests is read one test at a time.
const MOST_LINES_OF_TESTS: usize = 550;

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The table under "Layers" in `src/lib.rs`: who may use whom. `everyone` may be used by all.
fn layers() -> (BTreeMap<String, BTreeSet<String>>, BTreeSet<String>) {
    let map = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let block = map.split("//! # Layers").nth(1).and_then(|t| t.split("```").nth(1)).expect("the map of the layers");
    let mut modules: BTreeSet<String> =
        map.lines().filter_map(|l| l.strip_prefix("pub mod ")).map(|l| l.trim_end_matches(';').to_owned()).collect();
    modules.insert("main".to_owned());
    // Words in brackets are remarks.
    let mut plain = String::new();
    let mut depth = 0;
    for c in block.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let words = |text: &str| -> BTreeSet<String> {
        let split = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        split.filter(|w| modules.contains(*w)).map(str::to_owned).collect()
    };
    let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut everyone = BTreeSet::new();
    for line in plain.lines() {
        let (line, free) = match line.split_once(": everyone") {
            Some((before, _)) => before.rsplit_once("   ").unwrap_or(("", before)),
            None => (line, ""),
        };
        everyone.extend(words(free));
        let Some((users, used)) = line.split_once('→') else { continue };
        for user in words(users) {
            allowed.entry(user).or_default().extend(words(used));
        }
    }
    (allowed, everyone)
}

/// The code of a file, without comments and without what is compiled for tests only.
fn code(path: &Path) -> String {
    if path.iter().any(|part| part == "tests" || part == "tests.rs") {
        return String::new();
    }
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Modules of the crate that a file names: `crate::x`, `crate::{x, y}`, `mailtide::x`.
fn uses(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for start in ["crate::", "mailtide::"] {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at + start.len()..];
            let list = match rest.strip_prefix('{') {
                Some(inner) => top_level(inner),
                None => vec![rest],
            };
            let name = |item: &str| -> String {
                item.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
            };
            found.extend(list.into_iter().map(name).filter(|n| !n.is_empty()));
        }
    }
    found
}

/// The items of a brace list up to its end, not those of lists inside.
fn top_level(inner: &str) -> Vec<&str> {
    let (mut items, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&inner[begin..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&inner[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    items
}

#[test]
fn layers_point_one_way() {
    let (allowed, everyone) = layers();
    assert!(allowed.len() >= 11 && everyone.contains("error"), "the map was not understood: {allowed:?} {everyone:?}");
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let relative = path.strip_prefix(root().join("src")).unwrap();
        let module = relative.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
        if module == "lib" {
            continue;
        }
        let may = allowed.get(&module).cloned().unwrap_or_default();
        for used in uses(&code(&path)) {
            if used != module && !may.contains(&used) && !everyone.contains(&used) {
                wrong.push(format!("{} uses {used}", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the map in src/lib.rs:\n{}", wrong.join("\n"));
}

#[test]
fn the_map_has_no_circle() {
    let (allowed, _) = layers();
    fn reaches<'a>(
        from: &'a str,
        to: &str,
        map: &'a BTreeMap<String, BTreeSet<String>>,
        seen: &mut BTreeSet<&'a str>,
    ) -> bool {
        map.get(from)
            .into_iter()
            .flatten()
            .any(|next| next == to || (seen.insert(next) && reaches(next, to, map, seen)))
    }
    for module in allowed.keys() {
        assert!(!reaches(module, module, &allowed, &mut BTreeSet::new()), "{module} uses itself by a detour");
    }
}

#[test]
fn files_open_with_what_they_model_and_need_no_scroll_bar() {
    let mut wrong = Vec::new();
    for dir in ["src", "tests"] {
        for path in sources(&root().join(dir)) {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(root()).unwrap().display();
            if !text.starts_with("//! ") {
                wrong.push(format!("{name} does not open with `//! `"));
            }
            let lines = text.lines().count();
            let most = if path.ends_with("tests.rs") || path.starts_with(root().join("tests")) {
                MOST_LINES_OF_TESTS
            } else {
                MOST_LINES
            };
            if lines > most {
                wrong.push(format!("{name} has {lines} lines"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn side_effects_stay_where_they_belong() {
    // Printing in the reports; the imap crate behind one file; time and processes elsewhere are found by clippy.
    let rules: [(&str, &[&str]); 3] =
        [("println!", &[]), ("eprintln!", &[]), ("imap::Client", &["remote/imap/open.rs"])];
    for path in sources(&root().join("src")) {
        let code = code(&path);
        let name = path.strip_prefix(root().join("src")).unwrap().to_string_lossy().into_owned();
        for (word, places) in rules {
            let elsewhere = code.contains(word) && !places.contains(&name.as_str()) && !name.starts_with("report/");
            assert!(!elsewhere, "{name} holds `{word}`");
        }
    }
}

#[test]
fn uses_are_found_in_every_form() {
    let code =
        "use crate::mail::{a, b};\nuse crate::{error::{Error, Kind}, stop::Stop};\nfn f() { mailtide::cli::x() }";
    let expected = ["cli", "error", "mail", "stop"].map(String::from);
    assert_eq!(uses(code), expected.into());
}
