//! The manual pages: mailtide(1) from what clap knows and sections written by hand, mailtide.toml(5) written by hand.
//!
//! `man/mailtide.1` is what [`command`] makes, and a test holds it to that.

use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::error::{Error, Kind, Result};

/// What clap cannot know: exit status, environment, files, NDJSON, examples.
const SECTIONS: &str = include_str!("../../man/sections.roff");

/// mailtide.toml(5), as roff.
pub fn configuration() -> &'static str {
    include_str!("../../man/mailtide.toml.5")
}

/// mailtide(1), as roff.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn command() -> Result<String> {
    let written = render().map_err(|e| Error::new(Kind::Usage, "The page cannot be made").because(e))?;
    Ok(String::from_utf8_lossy(&written).into_owned() + SECTIONS)
}

fn render() -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut root = super::command().after_long_help("").after_help("");
    root.build();
    let page = Man::new(root.clone()).section("1").manual("Mailtide").date("").source("mailtide");
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    let mut commands = Roff::new();
    commands.control("SH", ["COMMANDS"]).text([roman("Each takes the options above too.")]);
    commands.to_writer(&mut out)?;
    let mut described: Vec<&Command> = vec![&root];
    for sub in root.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        one(sub, &described, &mut out)?;
        described.push(sub);
    }
    Ok(out)
}

/// A command as a subsection: what it does, its arguments. What was described before is only named.
fn one(sub: &Command, described: &[&Command], out: &mut Vec<u8>) -> std::io::Result<()> {
    let mut own = sub.clone();
    let mut shared = Vec::new();
    for argument in sub.get_arguments() {
        let same = |command: &&&Command| {
            command.get_arguments().any(|a| a.get_id() == argument.get_id() && a.get_help() == argument.get_help())
        };
        let Some(before) = described.iter().find(same) else { continue };
        own = own.mut_arg(argument.get_id(), |argument| argument.hide(true));
        if before.get_name() != "mailtide" {
            shared.push(named(argument));
        }
    }
    let mut head = Roff::new();
    head.control("SS", [format!("mailtide {}", sub.get_name()).as_str()]);
    let about = sub.get_long_about().or(sub.get_about()).map(ToString::to_string).unwrap_or_default();
    for (n, paragraph) in about.split("\n\n").enumerate() {
        if n > 0 {
            head.control("PP", []);
        }
        let stop = if paragraph.ends_with('.') { "" } else { "." };
        head.text([roman(format!("{paragraph}{stop}"))]);
    }
    if !shared.is_empty() {
        head.control("PP", []);
        head.text([roman(format!("As with sync: {}.", shared.join(", ")))]);
    }
    head.to_writer(out)?;
    let mut options = Vec::new();
    Man::new(own).render_options_section(&mut options)?;
    // What are sections of a page of their own are parts of a subsection here.
    let text = String::from_utf8_lossy(&options);
    for line in text.lines().filter(|line| !line.starts_with(".ie ") && !line.starts_with(".el ")) {
        match line.strip_prefix(".SH ") {
            Some(title) => {
                out.extend_from_slice(format!(".PP\n\\fI{}\\fR\n", title.trim_matches('"').to_lowercase()).as_bytes())
            }
            None => out.extend_from_slice(format!("{line}\n").as_bytes()),
        }
    }
    Ok(())
}

/// An argument's name as it is typed.
fn named(argument: &Arg) -> String {
    match argument.get_long() {
        Some(long) => format!("--{long}"),
        None => argument.get_value_names().unwrap_or_default().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// `SNAPSHOTS=overwrite cargo test` writes the page anew.
    #[test]
    fn the_page_in_the_tree_is_the_one_that_is_made() {
        snapbox::assert_data_eq!(command().unwrap(), snapbox::file!["../../man/mailtide.1"].raw());
    }

    #[test]
    fn every_key_of_the_configuration_is_described() {
        for (table, keys) in config::KEYS {
            assert!(configuration().contains(&table.replace('-', "\\-")), "{table}");
            for key in *keys {
                let written = format!(".B {}\n", key.replace('-', "\\-"));
                assert!(configuration().contains(&written), "{table}: {key}");
            }
        }
    }

    #[test]
    fn every_exit_code_is_described() {
        let codes = SECTIONS.split(".SH \"EXIT STATUS\"").nth(1).unwrap().split(".SH").next().unwrap();
        for code in [0, 1, 2, 3, 4, 5, 6, 7, 130] {
            assert!(codes.contains(&format!(".B {code}\n")), "{code}");
        }
    }
}
