//! All files of one command: no output is an input, and no two outputs are the same.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use super::failure;
use super::pattern::Pattern;
use super::place::{Identity, Place, directory};
use super::target::Target;
use super::temporary::{Temporary, make_directories};
use crate::cli::{Failure, standard_output};

/// So many files of a pattern are looked at before anything is computed; the others when their turn comes.
const LOOKED_AT: usize = 1 << 20;

#[derive(Default)]
pub(in crate::cli) struct Files {
    inputs: HashSet<Identity>,
    outputs: HashMap<Identity, PathBuf>,
    /// What goes to standard output.
    stdout: Option<String>,
}

impl Files {
    /// With the files that are read; `-` is standard input. What is not a regular file is in nobody's way.
    pub(in crate::cli) fn new<'a>(inputs: impl IntoIterator<Item = &'a Path>) -> Self {
        let identity =
            |path: &Path| if path == Path::new("-") { Identity::of_stdin() } else { Identity::of(path) };
        Files { inputs: inputs.into_iter().filter_map(identity).collect(), ..Files::default() }
    }

    /// Standard output is for one thing only.
    pub(in crate::cli) fn stdout(&mut self, what: impl Into<String>) -> Result<(), Failure> {
        standard_output::check()?;
        let what = what.into();
        match &self.stdout {
            Some(other) if *other == what => {
                Err(Failure::Input(format!("standard output can take one output, found {what} for two")))
            }
            Some(other) => {
                Err(Failure::Input(format!("standard output cannot take both {other} and {what}")))
            }
            None => {
                self.stdout = Some(what);
                Ok(())
            }
        }
    }

    /// A file without a number in its name.
    pub(in crate::cli) fn target(&mut self, path: &Path) -> Result<Target, Failure> {
        self.plain(path, &Pattern::new(path, None)?, true)
    }

    /// [`Files::target`] for text, which a terminal can show.
    pub(in crate::cli) fn text_target(&mut self, path: &Path) -> Result<Target, Failure> {
        self.plain(path, &Pattern::new(path, None)?, false)
    }

    /// [`Files::target`] of a pattern that is plain.
    pub(in crate::cli) fn plain(
        &mut self,
        path: &Path,
        pattern: &Pattern,
        binary: bool,
    ) -> Result<Target, Failure> {
        let file = pattern.path(0);
        let place = Place::of(&file)?;
        if matches!(place, Place::Stdout) {
            if binary && std::io::stdout().is_terminal() {
                let text = "standard output is a terminal, which can show no pictures or latents; send it to a file or a program";
                return Err(Failure::Input(text.into()));
            }
            self.stdout(path.display().to_string())?;
        }
        if let Some(identity) = self.identity(&file, &place)? {
            self.outputs.insert(identity, path.into());
        }
        Target::new(&file, place, true)
    }

    /// Looks at the files of a pattern for numbers from `first` to `last`; they are known to outputs that come later.
    pub(in crate::cli) fn pattern(
        &mut self,
        pattern: Pattern,
        first: u64,
        last: u64,
    ) -> Result<Numbered, Failure> {
        let mut found = Vec::new();
        self.look_at(&pattern, first, last, Some(&mut found))?;
        self.outputs.extend(found);
        Ok(Numbered { pattern, inputs: self.inputs.clone() })
    }

    /// [`Files::pattern`] for a last output of so many files that they are better forgotten.
    pub(in crate::cli) fn last_pattern(
        self,
        pattern: Pattern,
        first: u64,
        last: u64,
    ) -> Result<Numbered, Failure> {
        self.look_at(&pattern, first, last, None)?;
        Ok(Numbered { pattern, inputs: self.inputs })
    }

    fn look_at(
        &self,
        pattern: &Pattern,
        first: u64,
        last: u64,
        mut found: Option<&mut Vec<(Identity, PathBuf)>>,
    ) -> Result<(), Failure> {
        let all = pattern.directory();
        let all = if all.as_os_str().is_empty() { Path::new(".") } else { &all };
        if !all.is_dir() {
            let (path, all) = (pattern.shown().display(), all.display());
            return Err(Failure::Input(format!("{path}: the directory {all} does not exist")));
        }
        let in_no_way = found.is_none() && self.inputs.is_empty() && self.outputs.is_empty();
        for number in (first..=last).take(if in_no_way { 0 } else { LOOKED_AT }) {
            let path = pattern.path(number);
            // Directories with numbers in their names are made when they are needed.
            if directory(&path).is_dir() {
                let place = Place::of(&path)?;
                check_no_input(&self.inputs, &path, &place)?;
                if let Some(found) = &mut found {
                    found.extend(self.identity(&path, &place)?.map(|identity| (identity, path)));
                } else if !self.outputs.is_empty() {
                    self.identity(&path, &place)?;
                }
            }
        }
        // Writing there is tried, too.
        let path = pattern.path(first);
        if directory(&path).is_dir() {
            Target::new(&path, Place::of(&path)?, false).map(drop)
        } else {
            Temporary::new(all).map(drop).map_err(|error| failure(&path, error))
        }
    }

    /// Who a place is, if that is a file that no one else has.
    fn identity(&self, path: &Path, place: &Place) -> Result<Option<Identity>, Failure> {
        check_no_input(&self.inputs, path, place)?;
        let Place::File(end, metadata) = place else { return Ok(None) };
        let identity = Identity::of_place(end, metadata.as_ref());
        if let Some(other) = identity.as_ref().and_then(|identity| self.outputs.get(identity)) {
            let (path, other) = (path.display(), other.display());
            return Err(Failure::Input(format!("{path}: is the file of another output, too ({other})")));
        }
        Ok(identity)
    }
}

/// A file for each number.
pub(in crate::cli) struct Numbered {
    pattern: Pattern,
    inputs: HashSet<Identity>,
}

impl Numbered {
    /// The file of one number, whose directories are made. A machine that breaks down may lose it: it can be made again,
    /// and waiting for the disk a thousand times costs more than the images do.
    pub(in crate::cli) fn target(&self, number: u64) -> Result<Target, Failure> {
        let path = self.pattern.path(number);
        make_directories(directory(&path)).map_err(|error| failure(&path, error))?;
        let place = Place::of(&path)?;
        check_no_input(&self.inputs, &path, &place)?;
        Target::new(&path, place, false)
    }

    /// As it was given.
    pub(in crate::cli) fn shown(&self) -> String {
        self.pattern.shown().display().to_string()
    }
}

/// A file that is there may be an input.
fn check_no_input(inputs: &HashSet<Identity>, path: &Path, place: &Place) -> Result<(), Failure> {
    let Place::File(end, metadata @ Some(_)) = place else { return Ok(()) };
    match Identity::of_place(end, metadata.as_ref()) {
        Some(identity) if inputs.contains(&identity) => {
            Err(Failure::Input(format!("{}: is an input, too; it would be lost", path.display())))
        }
        _ => Ok(()),
    }
}
