//! The plan of `locals-runtime`, held against its files: which folder may use which, that no files
//! import each other in a circle, and that files and functions stay short.
//!
//! The plan is the table under "Layers" in `CONTRIBUTING.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 60;

#[test]
fn every_file_imports_only_from_its_own_layer_and_those_it_may_use() {
    let layers = layers(&contributing());
    let problems = climbing_imports(&Library::read(), &layers);
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let problems = circles(&Library::read());
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn a_file_with_files_below_it_only_declares_and_re_exports() {
    let problems = faces_with_code(&Library::read());
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn files_and_functions_are_short_but_for_the_listed_ones() {
    let exceptions = exceptions(&contributing());
    let problems = too_long(&Library::read(), &exceptions);
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn every_file_that_the_two_plans_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        "",
        "locals-runtime/src",
        "locals-runtime/src/store/sql",
        "locals-macros/src",
        "tests/http",
    ];
    let mut count = 0;
    for plan in ["CONTRIBUTING.md", "DESIGN.md"] {
        let text = fs::read_to_string(root.join(plan)).unwrap();
        let named = names(&text).into_iter();
        for path in named.filter(|name| is_path_of_rust(name)) {
            count += 1;
            let exists = folders.iter().any(|folder| root.join(folder).join(&path).exists());
            assert!(exists, "{plan} names `{path}`, which is not there");
        }
    }
    assert!(count > 100, "only {count} files are named");
}

fn is_path_of_rust(name: &str) -> bool {
    let is_rust = Path::new(name).extension().is_some_and(|extension| extension == "rs");
    is_rust && !name.contains([' ', '{', '*'])
}

/// A folder of the runtime, as the table describes it.
struct Layer {
    name: String,
    may_use: Vec<String>,
    may_not_name: Vec<String>,
}

fn contributing() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("CONTRIBUTING.md");
    fs::read_to_string(path).expect("CONTRIBUTING.md")
}

/// The rows of the table under a heading, each as the text of its cells.
fn table<'a>(text: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let (_, section) = text.split_once(&format!("\n{heading}\n")).expect(heading);
    let section = section.split("\n#").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What stands between backticks in a cell, without a slash at its end.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches('/').to_owned()).collect()
}

fn layers(contributing: &str) -> Vec<Layer> {
    let rows = table(contributing, "### Layers");
    let layer = |row: Vec<&str>| Layer {
        name: names(row[0]).remove(0),
        may_use: names(row[2]),
        may_not_name: names(row[3]),
    };
    rows.into_iter().map(layer).collect()
}

fn exceptions(contributing: &str) -> BTreeSet<String> {
    let rows = table(contributing, "### Longer than the limits");
    rows.into_iter().map(|row| names(row[0]).remove(0)).collect()
}

/// The files of the library, by their paths from `src`, without comments, strings and tests.
struct Library(BTreeMap<String, String>);

impl Library {
    fn read() -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("locals-runtime/src");
        let mut files = BTreeMap::new();
        let mut folders = vec![source.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path: PathBuf = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let name = path.strip_prefix(&source).unwrap_or(&path).display().to_string();
                    files.insert(name, fs::read_to_string(&path).expect("a file of UTF-8"));
                }
            }
        }
        assert!(files.len() > 50, "found {} files of the runtime", files.len());
        Self::of(files)
    }

    fn of(files: BTreeMap<String, String>) -> Self {
        let code: BTreeMap<_, _> =
            files.into_iter().map(|(name, text)| (name, without_tests(&code_of(&text)))).collect();
        let tests: BTreeSet<_> =
            code.iter().flat_map(|(name, text)| test_modules(name, text)).collect();
        Self(code.into_iter().filter(|(name, _)| !tests.contains(name)).collect())
    }

    /// The file that is the module of this path.
    fn file_of(&self, module: &[String]) -> Option<&str> {
        let path = module.join("/");
        let names = if module.is_empty() {
            vec!["lib.rs".to_owned()]
        } else {
            vec![format!("{path}.rs"), format!("{path}/mod.rs")]
        };
        names.iter().find_map(|name| self.0.get_key_value(name)).map(|(name, _)| name.as_str())
    }

    /// The file that defines what stands at a path from the root of the crate: re-exports are followed.
    fn defining_file(&self, path: &[String]) -> Option<&str> {
        let mut module = Vec::new();
        for (place, segment) in path.iter().enumerate() {
            let mut below = module.clone();
            below.push(segment.clone());
            if self.file_of(&below).is_some() {
                module = below;
                continue;
            }
            let face = self.file_of(&module)?;
            let Some(mut whole) = self.re_exports(face, &module).remove(segment) else {
                return Some(face);
            };
            whole.extend_from_slice(&path[place + 1..]);
            return if whole == path {
                Some(face)
            } else {
                self.defining_file(&whole).or(Some(face))
            };
        }
        self.file_of(&module)
    }

    fn file_at(&self, path: &[String]) -> Option<&str> {
        let defined = self.defining_file(path);
        let longest = || (1..=path.len()).rev().find_map(|length| self.file_of(&path[..length]));
        defined.or_else(longest)
    }

    fn re_exports(&self, file: &str, module: &[String]) -> BTreeMap<String, Vec<String>> {
        // Those below a file have what it imports for itself, too.
        let uses = uses(&self.0[file]).into_iter().filter(|it| it.is_public || is_face(file));
        let named = |path: Vec<String>| {
            let path = absolute(path, module, |below| self.file_of(below).is_some())?;
            Some((path.last()?.clone(), path))
        };
        uses.filter_map(|it| named(it.path)).collect()
    }

    /// What a file names of the crate, as paths from its root.
    fn imports(&self, file: &str) -> BTreeSet<Vec<String>> {
        let module = module_of(file);
        let text = &self.0[file];
        let used = uses(text).into_iter().map(|it| it.path);
        let all = used.chain(paths_in(text));
        all.filter_map(|path| absolute(path, &module, |below| self.file_of(below).is_some()))
            .collect()
    }

    /// The files that each file uses, and what of them. Those that only hand names on use nothing.
    fn graph(&self) -> BTreeMap<&str, BTreeMap<&str, Vec<String>>> {
        let mut graph = BTreeMap::new();
        for file in self.0.keys() {
            let mut edges: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for path in self.imports(file).into_iter().filter(|_| !is_face(file)) {
                let target = self.file_at(&path).filter(|target| *target != file);
                if let Some(target) = target.filter(|target| !is_face(target)) {
                    edges.entry(target).or_default().push(path.join("::"));
                }
            }
            graph.insert(file.as_str(), edges);
        }
        graph
    }
}

fn is_face(file: &str) -> bool {
    file == "lib.rs" || file.ends_with("/mod.rs")
}

fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod").trim_end_matches("lib");
    path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

/// A path from the root of the crate; `None` if it begins elsewhere.
fn absolute(
    mut path: Vec<String>,
    module: &[String],
    is_module: impl Fn(&[String]) -> bool,
) -> Option<Vec<String>> {
    let mut base = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" => module.to_vec(),
        "super" => module[..module.len().checked_sub(1)?].to_vec(),
        child => {
            let below: Vec<_> = module.iter().cloned().chain([child.to_owned()]).collect();
            return is_module(&below).then(|| {
                below.into_iter().chain(path.drain(1..)).filter(|it| it != "self").collect()
            });
        }
    };
    let mut rest = path.drain(1..).peekable();
    while rest.next_if(|segment| segment == "super").is_some() {
        base.pop()?;
    }
    base.extend(rest.filter(|segment| segment != "self" && segment != "*"));
    Some(base)
}

/// One path of a `use` item.
struct Use {
    path: Vec<String>,
    is_public: bool,
}

fn uses(text: &str) -> Vec<Use> {
    let mut all = Vec::new();
    for (at, _) in text.match_indices("use ") {
        let line_begins = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = text[line_begins..at].trim();
        if text[at + 4..].starts_with('$') {
            continue;
        }
        if !before.is_empty() && !before.starts_with("pub") {
            continue;
        }
        let Some(end) = text[at..].find(';') else { continue };
        for path in tree(&text[at + 4..at + end]) {
            all.push(Use { path, is_public: !before.is_empty() });
        }
    }
    all
}

/// The paths of a tree such as `a::{b, c::{d, e as f}}`.
fn tree(text: &str) -> Vec<Vec<String>> {
    let (mut depth, mut parts, mut part) = (0, Vec::new(), String::new());
    for character in text.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(character);
    }
    parts.push(part);
    let mut all = Vec::new();
    for part in parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()) {
        let (path, branches) = match part.split_once('{') {
            // The last brace alone closes this one.
            Some((path, inner)) => (path, tree(inner.strip_suffix('}').unwrap_or(inner))),
            None => (part, vec![Vec::new()]),
        };
        let path = path.split(" as ").next().unwrap_or_default();
        let path = path.split("::").map(str::trim).filter(|segment| !segment.is_empty());
        let path: Vec<_> = path.map(str::to_owned).collect();
        all.extend(branches.into_iter().map(|branch| [path.clone(), branch].concat()));
    }
    all
}

/// The paths that begin with `crate::` or `super::`, outside of `use` items too, but for those of an
/// exported macro, which are resolved where it is called.
fn paths_in(text: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for root in ["crate::", "super::"] {
        for (at, _) in text.match_indices(root).filter(|(at, _)| !text[..*at].ends_with('$')) {
            let is_path = |character: char| character.is_alphanumeric() || "_:".contains(character);
            let end = text[at..].find(|it| !is_path(it)).unwrap_or(text.len() - at);
            let path = text[at..at + end].split("::").filter(|segment| !segment.is_empty());
            all.push(path.map(str::to_owned).collect());
        }
    }
    all
}

/// The text without comments, and with empty strings.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            raw.find("\"#").map_or(rest.len(), |end| end + 5)
        } else if character == '"' {
            string_end(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("'{'") || rest.starts_with("'}'") {
            3
        } else {
            code.push(character);
            character.len_utf8()
        };
        // The lines of a string count.
        if !rest.starts_with("//") && skipped > 1 {
            code.extend(rest[..skipped].chars().filter(|character| *character == '\n'));
        }
        rest = &rest[skipped..];
    }
    code
}

fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            '\\' if !is_escaped => is_escaped = true,
            '"' if !is_escaped => return at + 1,
            _ => is_escaped = false,
        }
    }
    text.len()
}

/// The text without the items that are compiled for tests alone and stand at the margin.
fn without_tests(text: &str) -> String {
    let mut kept = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if !(line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test")) {
            kept.push(line);
            continue;
        }
        let mut item = lines.next().unwrap_or_default();
        while item.starts_with("#[") {
            item = lines.next().unwrap_or_default();
        }
        if item.trim_end().ends_with(';') {
            // It says which file is one of tests.
            kept.push(line);
            kept.push(item);
            continue;
        }
        for line in lines.by_ref() {
            if line.starts_with('}') {
                break;
            }
        }
    }
    kept.join("\n")
}

/// The files of the modules that a file declares for tests alone.
fn test_modules(file: &str, text: &str) -> Vec<String> {
    let module = module_of(file).join("/");
    let lines: Vec<_> = text.lines().collect();
    let declared = lines.windows(2).filter(|pair| pair[0].starts_with("#[cfg(test)]"));
    let named = declared.filter_map(|pair| pair[1].strip_prefix("mod ")?.strip_suffix(';'));
    named.map(|name| format!("{module}/{name}.rs")).collect()
}

fn layer_of(file: &str) -> &str {
    file.split('/').next().unwrap_or_default()
}

fn climbing_imports(library: &Library, layers: &[Layer]) -> Vec<String> {
    let mut problems = Vec::new();
    for (file, edges) in library.graph() {
        if file == "lib.rs" {
            continue;
        }
        let name = layer_of(file);
        let Some(layer) = layers.iter().find(|layer| layer.name == name) else {
            problems.push(format!("{file}: the table of layers has no `{name}/`"));
            continue;
        };
        for (target, paths) in edges {
            let other = layer_of(target);
            if other != name && !layer.may_use.iter().any(|may| may == other) {
                let paths = paths.join(", ");
                problems.push(format!("{file} imports {paths}: `{name}/` may not use `{other}/`"));
            }
        }
        for foreign in &layer.may_not_name {
            let root = format!("{foreign}::");
            if library.0[file].match_indices(&root).any(|(at, _)| {
                !library.0[file][..at]
                    .ends_with(|it: char| it.is_alphanumeric() || "_:".contains(it))
            }) {
                problems.push(format!("{file} names `{foreign}`, which `{name}/` may not"));
            }
        }
    }
    problems
}

fn circles(library: &Library) -> Vec<String> {
    let graph = library.graph();
    let reachable = |from: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(file) = next.pop() {
            for target in graph[file.as_str()].keys() {
                if seen.insert((*target).to_owned()) {
                    next.push((*target).to_owned());
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&str, BTreeSet<String>> =
        graph.keys().map(|file| (*file, reachable(file))).collect();
    let mut problems = Vec::new();
    for (file, edges) in &graph {
        for (target, paths) in edges {
            if reach[target].contains(*file) {
                problems.push(format!("{file} -> {target}: {}", paths.join(", ")));
            }
        }
    }
    problems
}

fn faces_with_code(library: &Library) -> Vec<String> {
    let mut problems = Vec::new();
    for (file, text) in &library.0 {
        let module = module_of(file).join("/");
        let has_children =
            library.0.keys().any(|other| other.starts_with(&format!("{module}/")) && other != file);
        if !has_children && !is_face(file) {
            continue;
        }
        let mut is_in_use = false;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let begins = ["mod ", "pub mod ", "pub(crate) mod ", "pub(super) mod ", "#[", "#!["];
            let is_use = line.trim_start_matches("pub").trim_start_matches("(crate)");
            let is_use = is_use.trim_start_matches("(super)").trim_start().starts_with("use ");
            if is_in_use || is_use {
                is_in_use = !line.ends_with(';');
            } else if !begins.iter().any(|begin| line.starts_with(begin)) {
                problems.push(format!("{file} has files below it, and code of its own: {line}"));
                break;
            }
        }
    }
    problems
}

fn too_long(library: &Library, exceptions: &BTreeSet<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut needed = BTreeSet::new();
    for (file, text) in &library.0 {
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let mut long = Vec::new();
        if lines.len() > MAX_FILE_LINES {
            long.push(format!("{file} has {} lines of code", lines.len()));
        }
        for (function, length) in functions(&lines) {
            if length > MAX_FUNCTION_LINES {
                long.push(format!("`{function}` of {file} has {length} lines"));
            }
        }
        if !long.is_empty() && !needed.insert(file) {
            continue;
        }
        if !exceptions.contains(file) {
            problems.extend(long);
        }
    }
    for exception in exceptions.iter().filter(|file| !needed.contains(file)) {
        problems.push(format!("{exception} is an exception, and need not be one any more"));
    }
    problems
}

/// The functions of formatted code, and how many lines each has.
fn functions<'a>(lines: &[&'a str]) -> Vec<(&'a str, usize)> {
    let mut all = Vec::new();
    for (begin, line) in lines.iter().enumerate() {
        let Some((before, after)) = line.split_once("fn ") else { continue };
        let is_item = before.split_whitespace().all(|word| {
            ["async", "const", "unsafe", "pub"].contains(&word) || word.starts_with("pub(")
        });
        let margin = line.len() - line.trim_start().len();
        let closing = format!("{}}}", " ".repeat(margin));
        let end = lines[begin..].iter().position(|line| *line == closing || line.ends_with(" {}"));
        if let Some(end) = end.filter(|_| is_item && !line.trim_end().ends_with(';')) {
            let name = after.split(['(', '<']).next().unwrap_or(after);
            all.push((name, end + 1));
        }
    }
    all
}

mod the_test_itself {
    use super::*;

    const TABLE: &str = "
### Layers

| folder | what lives there | may use | may not name |
|---|---|---|---|
| `model/` | what a session is | | `actix_web` |
| `http/` | headers | `model/` | |

### Longer than the limits

| file | why |
|---|---|
| `http/long.rs` | a list |
";

    fn library(files: &[(&str, &str)]) -> Library {
        Library::of(files.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect())
    }

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        climbing_imports(&library(files), &layers(TABLE))
    }

    #[test]
    fn an_import_that_climbs_is_named_with_its_file() {
        for import in [
            "use crate::http::cookie::Cookie;",
            "use crate::{http::cookie::{Cookie, Name}, model::time};",
            "fn f() { crate::http::cookie::read() }",
            "use super::super::http::cookie;",
            "use crate::http::Cookie;",
        ] {
            let files = [
                ("lib.rs", "mod http; mod model;"),
                ("http/mod.rs", "pub mod cookie;\npub use cookie::Cookie;"),
                ("http/cookie.rs", "pub struct Cookie;"),
                ("model/mod.rs", "mod token;\nmod time;"),
                ("model/time.rs", ""),
                ("model/token.rs", import),
            ];
            let found = problems(&files);
            assert_eq!(found.len(), 1, "{import}: {found:?}");
            assert!(found[0].starts_with("model/token.rs imports http::"), "{found:?}");
            assert!(found[0].ends_with("`model/` may not use `http/`"), "{found:?}");
        }
    }

    #[test]
    fn what_goes_down_or_stands_in_comments_strings_and_tests_is_no_problem() {
        let files = [
            ("lib.rs", "mod http; mod model;"),
            ("http/mod.rs", "mod cookie;"),
            ("http/cookie.rs", "use crate::model::token::Token;"),
            ("model/mod.rs", "mod token;"),
            (
                "model/token.rs",
                "// crate::http::cookie::read\nconst A: &str = \"crate::http::cookie::read \";\n\
                 #[cfg(test)]\nmod tests {\n    use crate::http::cookie::read;\n}\n",
            ),
        ];
        assert_eq!(problems(&files), [""; 0]);
    }

    #[test]
    fn a_foreign_crate_and_an_unknown_folder_are_named() {
        let found = problems(&[("model/token.rs", "use actix_web::web;"), ("wild/a.rs", "")]);
        assert_eq!(found[0], "model/token.rs names `actix_web`, which `model/` may not");
        assert_eq!(found[1], "wild/a.rs: the table of layers has no `wild/`");
    }

    #[test]
    fn a_circle_is_named_with_what_ties_it() {
        let found = circles(&library(&[
            ("lib.rs", ""),
            ("http/mod.rs", "pub mod a;\npub mod b;\npub use b::B;"),
            ("http/a.rs", "use super::B;"),
            ("http/b.rs", "use super::a::A;"),
            ("http/c.rs", "use super::a::A;"),
        ]));
        assert_eq!(
            found,
            ["http/a.rs -> http/b.rs: http::B", "http/b.rs -> http/a.rs: http::a::A"]
        );
    }

    #[test]
    fn code_beside_files_below_it_is_named() {
        let face = "#[cfg(test)]\nmod tests;\npub(crate) use a::{\n    B,\n    C,\n};\nmod a;\n";
        let files = [("http/mod.rs", face), ("http/a.rs", "")];
        assert_eq!(faces_with_code(&library(&files)), [""; 0]);
        let found = faces_with_code(&library(&[("http.rs", "fn f() {}"), ("http/a.rs", "")]));
        assert_eq!(found, ["http.rs has files below it, and code of its own: fn f() {}"]);
    }

    #[test]
    fn long_files_and_functions_are_named_unless_they_are_listed_and_need_it() {
        let long = format!("fn f() {{\n{}}}\n", "    a();\n".repeat(59));
        let exceptions = exceptions(TABLE);
        let found = |files: &[(&str, &str)]| too_long(&library(files), &exceptions);
        let listed = ("http/long.rs", long.as_str());
        assert_eq!(found(&[listed]), [""; 0]);
        assert_eq!(found(&[listed, ("http/a.rs", &long)]), ["`f` of http/a.rs has 61 lines"]);
        let file = "const A: u8 = 1;\n".repeat(401);
        assert_eq!(found(&[listed, ("http/a.rs", &file)]), ["http/a.rs has 401 lines of code"]);
        let none = found(&[("http/long.rs", "// short")]);
        assert_eq!(none, ["http/long.rs is an exception, and need not be one any more"]);
    }
}
