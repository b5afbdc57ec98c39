//! The tables of sessions and guests: how this version expects them, and what makes them so.

use crate::{
    model::user::AuthUser,
    store::sql::{
        catalogue::{Found, Reference},
        dialect::Types,
        driver::Dialect,
        names::Names,
    },
};

/// A table of ours, as this version expects it.
struct Table {
    is_of_guests: bool,
    /// The columns in order, and whether they may be null.
    columns: &'static [(&'static str, Type, bool)],
    /// The indexes: their names, as [`Names::derived`] makes them, and the column of each.
    indexes: &'static [(&'static str, &'static str)],
    /// What `migrate` does to a table that an older version has made: for each column that is
    /// missing there, what stands behind its type, and how it is filled.
    upgrades: &'static [(&'static str, &'static str, Option<&'static str>)],
}

const SESSIONS: Table = Table {
    is_of_guests: false,
    columns: &[
        ("id", Type::Id, false),
        ("secret_hash", Type::Hash, false),
        ("user_id", Type::Key, false),
        ("created_at", Type::Integer, false),
        ("authenticated_at", Type::Integer, false),
        ("active_expires_at", Type::Integer, false),
        ("idle_expires_at", Type::Integer, false),
        ("absolute_expires_at", Type::Integer, false),
        ("user_agent", Type::Text, true),
        ("address", Type::Text, true),
        ("renewed_at", Type::Integer, false),
        ("active_period", Type::Integer, true),
        ("idle_period", Type::Integer, true),
        ("is_persistent", Type::Integer, false),
        ("actor_session", Type::Id, true),
        ("data_revision", Type::Integer, false),
        ("rotation", Type::Rotation, true),
        ("credential", Type::Hash, true),
        ("data", Type::Data, true),
    ],
    indexes: &[("sessions_by_user", "user_id"), ("sessions_by_expiry", "idle_expires_at")],
    upgrades: &[
        (
            "authenticated_at",
            "NOT NULL DEFAULT 0",
            Some("UPDATE {sessions} SET authenticated_at = created_at"),
        ),
        ("user_agent", "", None),
        ("address", "", None),
        ("renewed_at", "NOT NULL DEFAULT 0", Some("UPDATE {sessions} SET renewed_at = created_at")),
        ("active_period", "", None),
        ("idle_period", "", None),
        ("is_persistent", "NOT NULL DEFAULT 1", None),
        ("actor_session", "", None),
        ("data_revision", "NOT NULL DEFAULT 0", None),
        ("rotation", "", None),
        ("credential", "", None),
        ("data", "", None),
    ],
};

const GUESTS: Table = Table {
    is_of_guests: true,
    columns: &[
        ("id", Type::Id, false),
        ("secret_hash", Type::Hash, false),
        ("data_revision", Type::Integer, false),
        ("expires_at", Type::Integer, false),
        ("data", Type::Data, false),
    ],
    indexes: &[("guests_by_expiry", "expires_at")],
    upgrades: &[],
};

impl Table {
    /// What stands for its name in a template.
    fn placeholder(&self) -> &'static str {
        if self.is_of_guests { "{guests}" } else { "{sessions}" }
    }
}

/// Ends sessions with their user.
const FOREIGN_KEY: &str = "FOREIGN KEY (user_id) REFERENCES {users} ({user_id}) ON DELETE CASCADE";

/// What a column holds; each dialect has its own name for it.
#[derive(Clone, Copy)]
enum Type {
    Id,
    Hash,
    Rotation,
    Integer,
    Text,
    Data,
    /// As the id column of the app's own table is declared.
    Key,
}

impl Types {
    fn name<'a>(&self, ty: Type, key: &'a str) -> &'a str {
        match ty {
            Type::Id => self.id,
            Type::Hash => self.hash,
            Type::Rotation => self.rotation,
            Type::Integer => self.integer,
            Type::Text => self.text,
            Type::Data => self.data,
            Type::Key => key,
        }
    }
}

/// The tables of one app, with its names, beside a table of users whose id is declared so.
#[derive(Debug)]
pub struct Schema<'a> {
    pub names: &'a Names,
    pub key: &'a str,
    pub has_foreign_key: bool,
}

/// What there is of it.
#[derive(Debug, Default)]
pub struct FoundSchema {
    pub sessions: Found,
    pub guests: Found,
    /// The triggers on the app's own table: name and SQL.
    pub triggers: Vec<(String, String)>,
}

/// In what a table differs from what this version expects.
#[derive(Debug)]
pub struct Difference {
    pub text: String,
    /// Whether `migrate` removes it.
    pub is_migrated: bool,
}

impl Difference {
    fn migrated(text: String) -> Self {
        Self { text, is_migrated: true }
    }

    fn manual(text: String) -> Self {
        Self { text, is_migrated: false }
    }
}

impl Schema<'_> {
    /// The statements that make all of it where nothing is there.
    pub fn create<D: Dialect>(&self) -> Vec<String> {
        self.changes::<D>(&FoundSchema::default())
    }

    /// The statements that make what was found into what this version expects. What is not ours, as a
    /// comparison will say, is left alone.
    pub fn changes<D: Dialect>(&self, found: &FoundSchema) -> Vec<String> {
        let mut changes = Vec::new();
        let mut is_foreign = false;
        for (table, found) in [(&SESSIONS, &found.sessions), (&GUESTS, &found.guests)] {
            if is_of_others(table, found) {
                is_foreign = true;
            } else if found.is_there() {
                changes.extend(self.upgrades::<D>(table, found));
            } else {
                changes.extend(self.new_table::<D>(table));
            }
        }
        if !is_foreign {
            let lacking = self.triggers::<D>().filter(|it| !it.is_among(&found.triggers));
            changes.extend(lacking.flat_map(|Trigger { name, sql }| {
                // One of this name may be there, of another version or on another table.
                [format!("DROP TRIGGER IF EXISTS {}", quoted::<D>(&name)), sql]
            }));
        }
        changes
    }

    /// In what a table of this name, which is that of guests or that of sessions, differs.
    pub fn differences<D: Dialect, T: AuthUser>(
        &self,
        found: &FoundSchema,
        of_guests: bool,
    ) -> Vec<Difference> {
        let (table, found_table) =
            if of_guests { (&GUESTS, &found.guests) } else { (&SESSIONS, &found.sessions) };
        if !found_table.is_there() {
            return Vec::new();
        }
        let mut differences = self.differences_of_columns::<D>(table, found_table);
        if found_table.primary_key != ["id"] {
            differences.push(Difference::manual("`id` is not the primary key".to_owned()));
        }
        for (index, _) in table.indexes {
            let name = self.names.derived(index);
            if !found_table.has_index(&name) {
                differences.push(Difference::migrated(format!("the index `{name}` is missing")));
            }
        }
        if of_guests {
            return differences;
        }
        if let Some(others) = found_table.others() {
            differences.push(Difference::manual(format!(
                "its sessions are those of `{others}`, and not of `{}`",
                T::TABLE
            )));
        } else if self.has_foreign_key && !found_table.refers_to_users() {
            let text = "`user_id` does not reference `{}` with `ON DELETE CASCADE`";
            differences.push(Difference {
                text: text.replace("{}", T::TABLE),
                is_migrated: D::SQL.can_add_foreign_key && found_table.references.is_empty(),
            });
        }
        let lacking = self.triggers::<D>().filter(|it| !it.is_among(&found.triggers));
        differences.extend(lacking.map(|Trigger { name, .. }| {
            let is_there = found.triggers.iter().any(|(it, _)| it.eq_ignore_ascii_case(&name));
            let what = if is_there { "differs" } else { "is missing" };
            Difference::migrated(format!("the trigger `{name}` on `{}` {what}", T::TABLE))
        }));
        differences
    }

    /// Whether triggers are missing that end sessions with their users.
    pub fn lacks_triggers<D: Dialect>(&self, found: &FoundSchema) -> bool {
        self.triggers::<D>().any(|trigger| !trigger.is_among(&found.triggers))
    }

    fn new_table<D: Dialect>(&self, table: &Table) -> Vec<String> {
        let sql = D::SQL;
        let create = if table.is_of_guests { sql.create_guests } else { sql.create_sessions };
        let indexes = table.indexes.iter().filter(|_| !sql.indexes_in_table);
        let indexes = indexes.map(|index| create_index::<D>(table, index));
        [create.to_owned()].into_iter().chain(indexes).map(|it| self.fill(&it)).collect()
    }

    fn upgrades<D: Dialect>(&self, table: &Table, found: &Found) -> Vec<String> {
        let (name, types) = (table.placeholder(), &D::SQL.types);
        let mut statements = Vec::new();
        let missing = table.upgrades.iter().filter(|(name, ..)| found.column(name).is_none());
        for &(column, rest, fill) in missing {
            let declared = table.columns.iter().find(|(it, ..)| *it == column);
            let declared = declared.map_or("", |&(_, ty, _)| types.name(ty, ""));
            statements.push(format!("ALTER TABLE {name} ADD COLUMN {column} {declared} {rest}"));
            statements.extend(fill.map(str::to_owned));
        }
        if !table.is_of_guests {
            statements.extend(self.upgrades_of_key::<D>(found));
        }
        let is_there = |name: &str| found.has_index(&self.names.derived(name));
        let lacking = table.indexes.iter().filter(|(name, _)| !is_there(name));
        statements.extend(lacking.map(|index| create_index::<D>(table, index)));
        statements.iter().map(|template| self.fill(template)).collect()
    }

    /// What gives `user_id` the type that the id of the app's own table has, and its foreign key.
    fn upgrades_of_key<D: Dialect>(&self, found: &Found) -> Vec<String> {
        let sql = D::SQL;
        let mut statements = Vec::new();
        let mut references = &found.references[..];
        let is_other = |declared: &str| !is_same_type(declared, self.key, sql.keys_by_affinity);
        let is_outdated = found.column("user_id").is_some_and(|it| is_other(&it.declared));
        if let Some(change) = sql.change_key
            && is_outdated
        {
            if let Some(drop) = sql.drop_foreign_key {
                let drop = |it: &Reference| drop.replace("{name}", &quoted::<D>(&it.name));
                statements.extend(references.iter().map(drop));
                references = &[];
            }
            statements.push(change.to_owned());
        }
        // One that stands and does not cascade would go on to be in the way.
        if sql.can_add_foreign_key && self.has_foreign_key && references.is_empty() {
            let orphans =
                "DELETE FROM {sessions} WHERE user_id NOT IN (SELECT {user_id} FROM {users})";
            let add = format!("ALTER TABLE {{sessions}} ADD {FOREIGN_KEY}");
            statements.extend([orphans.to_owned(), add]);
        }
        statements
    }

    fn differences_of_columns<D: Dialect>(&self, table: &Table, found: &Found) -> Vec<Difference> {
        let sql = D::SQL;
        let mut differences = Vec::new();
        let is_ours = !is_of_others(table, found);
        for &(name, ty, nullable) in table.columns {
            let Some(column) = found.column(name) else {
                differences.push(Difference {
                    text: format!("the column `{name}` is missing"),
                    is_migrated: is_ours,
                });
                continue;
            };
            let expected = sql.types.name(ty, self.key);
            let is_key = matches!(ty, Type::Key);
            if !is_same_type(&column.declared, expected, is_key && sql.keys_by_affinity) {
                differences.push(Difference {
                    text: format!("`{name}` is {} and should be {expected}", column.declared),
                    is_migrated: is_ours && is_key && sql.change_key.is_some(),
                });
            }
            if column.nullable != nullable {
                let should = if nullable { "may be null" } else { "must be NOT NULL" };
                differences.push(Difference::manual(format!("`{name}` {should}")));
            }
        }
        // A later version may have added some that this one can do without.
        let in_the_way = found.columns.iter().filter(|column| {
            !column.nullable
                && !column.has_default
                && !table.columns.iter().any(|(expected, ..)| *expected == column.name)
        });
        differences.extend(in_the_way.map(|column| {
            Difference::manual(format!(
                "the column `{}` is unknown, must not be null and has no default",
                column.name
            ))
        }));
        differences
    }

    fn fill(&self, template: &str) -> String {
        let foreign_key = if self.has_foreign_key {
            format!(",\n    {}", self.names.fill(FOREIGN_KEY, &[]))
        } else {
            String::new()
        };
        self.names.fill(template, &[("key", self.key), ("foreign_key", &foreign_key)])
    }

    /// The triggers on the app's own table; none where foreign keys are always enforced.
    fn triggers<D: Dialect>(&self) -> impl Iterator<Item = Trigger> {
        let all = D::SQL.triggers.iter().filter(|_| self.has_foreign_key);
        all.flat_map(|triggers| triggers.all).map(|&(name, template)| Trigger {
            name: self.names.derived(name),
            sql: self.names.fill(template, &[]),
        })
    }
}

/// A trigger on the app's own table, as this version expects it.
struct Trigger {
    name: String,
    sql: String,
}

impl Trigger {
    /// Whether it is among these, as the catalogue has them: by name and SQL.
    fn is_among(&self, found: &[(String, String)]) -> bool {
        let expected = bare(&self.sql.replacen("IF NOT EXISTS ", "", 1));
        let is_this = |(name, sql): &(String, String)| {
            name.eq_ignore_ascii_case(&self.name) && bare(sql) == expected
        };
        found.iter().any(is_this)
    }
}

/// What makes an index of a table.
fn create_index<D: Dialect>(table: &Table, (name, column): &(&str, &str)) -> String {
    let guard = if D::SQL.indexes_in_table { "" } else { "IF NOT EXISTS " };
    format!("CREATE INDEX {guard}{{{name}}} ON {} ({column})", table.placeholder())
}

fn quoted<D: Dialect>(name: &str) -> String {
    super::names::quoted_part(name, D::SQL.quote)
}

/// SQL without what does not matter: white space, case and quotes. A database may write names anew when
/// they change.
fn bare(sql: &str) -> String {
    let matters = |character: &char| !character.is_whitespace() && *character != '"';
    sql.chars().filter(matters).flat_map(char::to_lowercase).collect()
}

/// Whether a table of this name is there, and lacks columns that ours has always had, or holds the sessions
/// of another type of user.
fn is_of_others(table: &Table, found: &Found) -> bool {
    let is_later = |name| table.upgrades.iter().any(|(later, ..)| *later == name);
    let mut first = table.columns.iter().map(|(name, ..)| *name).filter(|name| !is_later(*name));
    found.is_there() && (found.others().is_some() || first.any(|name| found.column(name).is_none()))
}

fn is_same_type(found: &str, expected: &str, by_affinity: bool) -> bool {
    if by_affinity {
        return affinity(found) == affinity(expected);
    }
    plain(found) == plain(expected)
}

/// A type's name without what does not matter: case, the display width of integers, and the
/// character set of texts, which follows the database.
fn plain(declared: &str) -> String {
    let declared = declared.to_ascii_lowercase();
    let declared = declared.split(" character set ").next().unwrap_or_default();
    match declared.split_once('(') {
        Some((integer, rest)) if integer.ends_with("int") => {
            let behind = rest.split_once(')').map_or("", |(_, behind)| behind);
            format!("{integer}{behind}")
        }
        _ => declared.to_owned(),
    }
}

/// What SQLite makes of a declared type: <https://www.sqlite.org/datatype3.html#determination_of_column_affinity>.
fn affinity(declared: &str) -> &'static str {
    let declared = declared.to_ascii_uppercase();
    let has = |part| declared.contains(part);
    if has("INT") {
        "INTEGER"
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        "TEXT"
    } else if has("BLOB") || declared.is_empty() {
        "BLOB"
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        "REAL"
    } else {
        "NUMERIC"
    }
}
