//! The schema of the tables of sessions and guests, and the statements that create and update them.

use crate::{
    model::user::AuthUser,
    store::sql::{
        catalog::{Found, Reference},
        dialect::Types,
        driver::Dialect,
        names::Names,
    },
};

/// A table of sessions or guests, as this version expects it.
struct Table {
    is_of_guests: bool,
    /// The columns in order: name, type, and whether it is nullable.
    columns: &'static [(&'static str, Type, bool)],
    /// The indexes: the placeholder of the name, see [`Names::derived`], and the column.
    indexes: &'static [(&'static str, &'static str)],
    /// The columns that `migrate` adds to a table of an older version: name, constraints, and the statement
    /// that fills it.
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
    /// Returns the placeholder of its name in a template.
    fn placeholder(&self) -> &'static str {
        if self.is_of_guests { "{guests}" } else { "{sessions}" }
    }
}

/// The foreign key that deletes sessions with their user.
const FOREIGN_KEY: &str = "FOREIGN KEY (user_id) REFERENCES {users} ({user_id}) ON DELETE CASCADE";

/// The type of a column, independent of the dialect.
#[derive(Clone, Copy)]
enum Type {
    Id,
    Hash,
    Rotation,
    Integer,
    Text,
    Data,
    /// The declared type of the id column of the app's own table.
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

/// The tables of one app: their names, and the declared type of the users' id column.
#[derive(Debug)]
pub struct Schema<'a> {
    pub names: &'a Names,
    pub key: &'a str,
    pub has_foreign_key: bool,
}

/// The tables and triggers that exist in the database.
#[derive(Debug, Default)]
pub struct FoundSchema {
    pub sessions: Found,
    pub guests: Found,
    /// The triggers on the app's own table: name and SQL.
    pub triggers: Vec<(String, String)>,
}

/// A difference between a table and what this version expects.
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
    /// Returns the statements that create everything in an empty database.
    pub fn create<D: Dialect>(&self) -> Vec<String> {
        self.changes::<D>(&FoundSchema::default())
    }

    /// Returns the statements that update the existing tables to what this version expects. Tables that are
    /// not ours are left alone; a comparison reports them.
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
                // A trigger with this name may exist, from another version or on another table.
                [format!("DROP TRIGGER IF EXISTS {}", quoted::<D>(&name)), sql]
            }));
        }
        changes
    }

    /// Returns the differences of the table of guests or of the table of sessions.
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
        if let Some(others) = found_table.other_users() {
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

    /// Whether triggers that end sessions with their users are missing or differ.
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

    /// Returns the statements that give `user_id` the type of the app's id column, and its foreign key.
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
        // An existing foreign key that does not cascade is not replaced; it would still block deletions.
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
        // Other columns are fine, such as those of a later version, unless an insert must set them.
        let blocking = found.columns.iter().filter(|column| {
            !column.nullable
                && !column.has_default
                && !table.columns.iter().any(|(expected, ..)| *expected == column.name)
        });
        differences.extend(blocking.map(|column| {
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

    /// Returns the triggers on the app's own table; none if foreign keys are always enforced.
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
    /// Whether these existing triggers contain it, with the same name and SQL.
    fn is_among(&self, found: &[(String, String)]) -> bool {
        let expected = normalized(&self.sql.replacen("IF NOT EXISTS ", "", 1));
        let is_this = |(name, sql): &(String, String)| {
            name.eq_ignore_ascii_case(&self.name) && normalized(sql) == expected
        };
        found.iter().any(is_this)
    }
}

/// Returns the statement that creates an index of a table.
fn create_index<D: Dialect>(table: &Table, (name, column): &(&str, &str)) -> String {
    let guard = if D::SQL.indexes_in_table { "" } else { "IF NOT EXISTS " };
    format!("CREATE INDEX {guard}{{{name}}} ON {} ({column})", table.placeholder())
}

fn quoted<D: Dialect>(name: &str) -> String {
    super::names::quoted_part(name, D::SQL.quote)
}

/// Returns SQL without white space, case and quotes, for comparison. A database may rewrite names in it
/// when they change.
fn normalized(sql: &str) -> String {
    let matters = |character: &char| !character.is_whitespace() && *character != '"';
    sql.chars().filter(matters).flat_map(char::to_lowercase).collect()
}

/// Whether an existing table is not ours: it lacks columns that ours has had since the first version, or
/// holds the sessions of another user type.
fn is_of_others(table: &Table, found: &Found) -> bool {
    let is_later = |name| table.upgrades.iter().any(|(later, ..)| *later == name);
    let mut first = table.columns.iter().map(|(name, ..)| *name).filter(|name| !is_later(*name));
    found.is_there()
        && (found.other_users().is_some() || first.any(|name| found.column(name).is_none()))
}

fn is_same_type(found: &str, expected: &str, by_affinity: bool) -> bool {
    if by_affinity {
        return affinity(found) == affinity(expected);
    }
    normalized_type(found) == normalized_type(expected)
}

/// Returns the name of a type without case, the display width of integers, and the character set of
/// texts, which may differ.
fn normalized_type(declared: &str) -> String {
    let declared = declared.to_ascii_lowercase();
    let declared = declared.split(" character set ").next().unwrap_or_default();
    match declared.split_once('(') {
        Some((integer, rest)) if integer.ends_with("int") => {
            let after = rest.split_once(')').map_or("", |(_, after)| after);
            format!("{integer}{after}")
        }
        _ => declared.to_owned(),
    }
}

/// Returns the affinity of a declared type in SQLite:
/// <https://www.sqlite.org/datatype3.html#determination_of_column_affinity>.
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
