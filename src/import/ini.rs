//! INI as Python's configparser reads it: sections, `key = value` or `key: value`, indented lines go on.
//!
//! Tolerant: a line that is none of these is kept apart, and none ends the reading. Keys are lower case; the last of two
//! values, and what two sections of one name hold, count as they do there.

use super::draft::Setting;

/// A section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    /// What stands in brackets.
    pub name: String,
    /// Its settings, in the file's order.
    pub settings: Vec<Setting>,
}

impl Section {
    /// The last setting of that key.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().rev().find(|setting| setting.key == key)
    }

    /// The text of that key, unless it is empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).map(|setting| setting.value.trim()).filter(|text| !text.is_empty())
    }
}

/// A file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ini {
    /// The sections, in the file's order.
    pub sections: Vec<Section>,
    /// Numbers of lines that could not be understood.
    pub odd: Vec<usize>,
}

impl Ini {
    /// The section of that name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Reads a file's text.
    pub fn parse(text: &str) -> Ini {
        let mut ini = Ini::default();
        let mut at = None;
        for (n, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            let current = at.and_then(|at: usize| ini.sections.get_mut(at));
            let goes_on = line.starts_with([' ', '\t']);
            if goes_on && let Some(last) = current.and_then(|section| section.settings.last_mut()) {
                last.value.push('\n');
                last.value.push_str(trimmed);
                continue;
            }
            if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(name, _)| name) {
                let found = ini.sections.iter().position(|section| section.name == name);
                at = Some(found.unwrap_or_else(|| {
                    ini.sections.push(Section { name: name.to_owned(), settings: Vec::new() });
                    ini.sections.len() - 1
                }));
                continue;
            }
            let setting = trimmed.split_once(['=', ':']).map(|(key, value)| Setting {
                line: n + 1,
                key: key.trim().to_lowercase(),
                value: value.trim().to_owned(),
            });
            match (at.and_then(|at| ini.sections.get_mut(at)), setting) {
                (Some(section), Some(setting)) => section.settings.push(setting),
                _ => ini.odd.push(n + 1),
            }
        }
        ini
    }

    /// Puts the values that `%(name)s` stand for in their places, out of the same section or `DEFAULT`; `%%` is `%`.
    #[must_use]
    pub fn interpolated(mut self) -> Ini {
        let defaults = self.section("DEFAULT").cloned().unwrap_or_default();
        for section in &mut self.sections {
            let own = section.clone();
            let look = |name: &str| own.get(name).or_else(|| defaults.get(name)).map(|setting| setting.value.clone());
            for setting in &mut section.settings {
                setting.value = interpolate(&setting.value, &look);
            }
        }
        self
    }
}

/// How deep values may stand for values: as deep as there.
const DEPTH: usize = 10;

fn interpolate(value: &str, look: &dyn Fn(&str) -> Option<String>) -> String {
    let mut value = value.to_owned();
    for _ in 0..DEPTH {
        let mut out = String::new();
        let mut rest = value.as_str();
        let mut again = false;
        while let Some((before, after)) = rest.split_once('%') {
            out.push_str(before);
            let named = after.strip_prefix('(').and_then(|inner| inner.split_once(")s"));
            match named.and_then(|(name, after)| Some((look(&name.to_lowercase())?, after))) {
                Some((found, after)) => {
                    again |= found.contains("%(");
                    out.push_str(&found);
                    rest = after;
                }
                None => {
                    // An escaped sign stays escaped until the last round.
                    out.push_str(if after.starts_with('%') { "%%" } else { "%" });
                    rest = after.strip_prefix('%').unwrap_or(after);
                }
            }
        }
        out.push_str(rest);
        value = out;
        if !again {
            break;
        }
    }
    value.replace("%%", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_python_reads() {
        let ini = Ini::parse(
            "stray = 1\n[general]\n# c\n  ; c\nAccounts = a, b\nui: basic\n[x]\nf = lambda n: n in [\n    'A',\n  'B']\nodd\n\
             [general]\nui = quiet\n",
        );
        assert_eq!(ini.odd, [1, 11]);
        let general = ini.section("general").unwrap();
        assert_eq!((general.text("accounts"), general.text("ui")), (Some("a, b"), Some("quiet")));
        let f = ini.section("x").unwrap().get("f").unwrap();
        assert_eq!((f.line, f.value.as_str()), (8, "lambda n: n in [\n'A',\n'B']"));
    }

    #[test]
    fn values_stand_for_values() {
        let ini = Ini::parse(
            "[DEFAULT]\nhost = mail.%(domain)s\ndomain = example.org\n[r]\nh = %(host)s\np = 100%% %(no)s\n",
        );
        let ini = ini.interpolated();
        let r = ini.section("r").unwrap();
        assert_eq!((r.text("h"), r.text("p")), (Some("mail.example.org"), Some("100% %(no)s")));
        let ring = Ini::parse("[r]\na = %(b)s\nb = %(a)s\n").interpolated();
        assert!(ring.section("r").unwrap().text("a").unwrap().len() < 100);
    }
}
