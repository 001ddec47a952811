//! A service's views: where they lie, their tables by generation, and which generation is live.

mod leases;
mod read;
mod remembered;
mod side;
mod step;
mod swap;
mod upkeep;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use cqrs_core::{Position, Projection, StoreError};
use parking_lot::Mutex;
use tokio_postgres::types::Type;
use uuid::Uuid;

use self::read::is_deadlock;
use self::remembered::Remembered;
use self::side::{Backend, Side};
use self::step::Steps;
use self::swap::{Place, is_behind};
use crate::dialect::{Dialect, Resolved, resolve};
use crate::log::Location;
use crate::postgres::schema::{Tables, prepare};
use crate::postgres::{self, BACKGROUND};
use crate::sqlite::{self, Durability, Readers};

pub(crate) use self::read::is_missing_table;
pub use self::remembered::{AnswerKey, Settled, Watch};
pub(crate) use self::step::{Step, StepError};

const SQLITE: &str = "
CREATE TABLE IF NOT EXISTS views (name TEXT PRIMARY KEY, generation BIGINT NOT NULL, version BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS view_places (
  name TEXT NOT NULL, generation BIGINT NOT NULL, source TEXT NOT NULL, epoch BLOB NOT NULL,
  position BIGINT NOT NULL, PRIMARY KEY (name, generation, source)
);
";

/// The tables on PostgreSQL.
const TABLES: Tables = Tables {
    format: 1,
    steps: &[
        "CREATE TABLE IF NOT EXISTS views (name text PRIMARY KEY, generation bigint NOT NULL, version bigint NOT NULL);
         CREATE TABLE IF NOT EXISTS view_places (
           name text NOT NULL, generation bigint NOT NULL, source text NOT NULL, epoch uuid NOT NULL,
           position bigint NOT NULL, PRIMARY KEY (name, generation, source)
         );",
        crate::leases::TABLE,
    ],
};

/// Where a service's views lie, and what this process does with them.
#[derive(Debug, Clone)]
pub enum ViewsAt {
    /// Kept and read here.
    Kept(Location),
    /// Kept there, and read from a copy that follows by itself: a streaming replica of PostgreSQL's.
    Copied {
        /// Where projections write.
        kept: Location,
        /// Where queries read; nothing is ever written there.
        copy: Location,
    },
    /// Kept by other processes and only read here, perhaps from a copy: nothing is ever written.
    Read(Location),
}

impl From<Location> for ViewsAt {
    fn from(location: Location) -> Self {
        Self::Kept(location)
    }
}

/// One service's view store. Cheap to clone.
#[derive(Clone)]
pub struct Views(Arc<Inner>);

struct Inner {
    /// Where the views are kept; nothing in a process that only reads them.
    kept: Option<Arc<Side>>,
    /// Where they are read: the same, unless that is a copy.
    read: Arc<Side>,
    resolved: Resolved,
    /// Of queries.
    queries: Resolved,
    remembered: Remembered,
    steps: Steps,
    projections: Vec<Arc<dyn Projection>>,
}

/// How often a swap is tried that queries of the old tables cross.
const SWAP_TRIES: u32 = 5;

/// Drops a generation's tables.
fn drop_sql(projection: &dyn Projection, generation: u64) -> String {
    let drop = |table: &&str| format!("DROP TABLE IF EXISTS {}{table};", prefix(generation));
    projection.schema().tables.iter().map(drop).collect::<Vec<_>>().concat()
}

/// A table belongs to one view: views of the same generation would otherwise write into each other's.
fn refuse_shared_tables(projections: &[Arc<dyn Projection>]) -> Result<(), StoreError> {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for projection in projections {
        for table in projection.schema().tables {
            if let Some(other) = owners.insert(table, projection.name()) {
                let name = projection.name();
                let detail = format!("the views {other} and {name} both have a table {table}; rename one");
                return Err(StoreError::Other(detail));
            }
        }
    }
    Ok(())
}

/// The prefix of a generation's tables.
fn prefix(generation: u64) -> String {
    format!("g{generation}_")
}

/// Opens a store to keep views in, making what isn't there.
async fn open_kept(location: &Location, readers: usize) -> Result<Side, StoreError> {
    let backend = match location {
        Location::Sqlite(path) => {
            let path: PathBuf = path.clone();
            sqlite::blocking(move || {
                let connection = sqlite::open_side(&path, Durability::Normal, SQLITE)?;
                let writer = sqlite::checkpoint::Writer::new(connection, &path, Durability::Normal)?;
                let writer = Arc::new(Mutex::new(writer));
                Ok(Backend::Sqlite { readers: Readers::new(path, readers), writer })
            })
            .await?
        }
        Location::Postgres { pool, schema } => {
            prepare(pool, schema, &TABLES, None, &[], true).await?;
            Backend::Postgres { pool: pool.clone(), schema: schema.clone() }
        }
    };
    Ok(Side::new(backend))
}

/// Opens a store to read views from, as it is.
fn open_read(location: &Location) -> Result<Side, StoreError> {
    match location {
        Location::Sqlite(path) => Err(StoreError::Other(format!(
            "{}: one process has a SQLite store and keeps its views; only PostgreSQL has copies",
            path.display()
        ))),
        Location::Postgres { pool, schema } => {
            Ok(Side::new(Backend::Postgres { pool: pool.clone(), schema: schema.clone() }))
        }
    }
}

impl Views {
    /// Opens the store and makes the tables of `projections` that aren't there. A view whose tables are of another
    /// version than its projection starts anew and is filled from the log.
    ///
    /// Where the views are only read, nothing is made: those that aren't there yet are an error that may pass, those of
    /// another version one that doesn't.
    pub async fn open(
        at: &ViewsAt,
        projections: Vec<Arc<dyn Projection>>,
        readers: usize,
    ) -> Result<Self, StoreError> {
        refuse_shared_tables(&projections)?;
        let (kept, read) = match at {
            ViewsAt::Kept(location) => {
                let side = Arc::new(open_kept(location, readers).await?);
                (Some(side.clone()), side)
            }
            ViewsAt::Copied { kept, copy } => {
                (Some(Arc::new(open_kept(kept, readers).await?)), Arc::new(open_read(copy)?))
            }
            ViewsAt::Read(location) => (None, Arc::new(open_read(location)?)),
        };
        let steps = Steps::of(kept.as_ref().map(|side| &side.backend))?;
        let views = Self(Arc::new(Inner {
            kept,
            read,
            resolved: Resolved::default(),
            queries: Resolved::default(),
            remembered: Remembered::default(),
            steps,
            projections,
        }));
        if views.0.kept.is_none() {
            views.find_all().await?;
            return Ok(views);
        }
        let starting = views.lock_start().await?;
        for projection in &views.0.projections {
            views.ensure(&**projection).await?;
        }
        drop(starting);
        if views.reads_a_copy() {
            // A copy that is behind, or down, isn't waited for: queries say so until it is there.
            let _ = views.0.read.reload(&views.0.projections).await;
        }
        Ok(views)
    }

    /// That all views are there to be read.
    async fn find_all(&self) -> Result<(), StoreError> {
        let missing = match self.0.read.reload(&self.0.projections).await {
            Err(StoreError::Other(detail)) if is_missing_table(&detail) => vec!["all of them"],
            found => found?,
        };
        if missing.is_empty() {
            return Ok(());
        }
        Err(StoreError::Unavailable(format!(
            "views aren't there yet ({}): a process that keeps them makes them",
            missing.join(", ")
        )))
    }

    /// Where the views are kept.
    fn kept(&self) -> Result<&Arc<Side>, StoreError> {
        let only = || StoreError::Other("this process only reads the views; others keep them".to_owned());
        self.0.kept.as_ref().ok_or_else(only)
    }

    /// What decides how far a view is: where it is kept; in a process that only reads it, where it reads.
    fn origin(&self) -> &Side {
        self.0.kept.as_ref().unwrap_or(&self.0.read)
    }

    /// Whether queries read from a copy of what this process keeps.
    pub(crate) fn reads_a_copy(&self) -> bool {
        self.0.kept.is_some() && self.is_elsewhere()
    }

    /// Whether queries read what others write, or a copy of what this process does: a table may be late there.
    fn is_elsewhere(&self) -> bool {
        self.0.kept.as_ref().is_none_or(|kept| !Arc::ptr_eq(kept, &self.0.read))
    }

    /// Keeps other processes that start at the same time from making the same tables. The lock goes with the connection.
    async fn lock_start(&self) -> Result<Option<postgres::Connection>, StoreError> {
        let Backend::Postgres { pool, schema } = &self.kept()?.backend else { return Ok(None) };
        let connection = pool.connect(BACKGROUND).await?;
        connection.begin("").await?;
        let lock = "SELECT pg_advisory_xact_lock(7305806, hashtext($1))";
        connection.execute(lock, &[(schema, Type::TEXT)]).await?;
        Ok(Some(connection))
    }

    /// Which store it is on.
    pub fn dialect(&self) -> Dialect {
        self.0.read.dialect()
    }

    /// The projections that keep these views.
    pub fn projections(&self) -> &[Arc<dyn Projection>] {
        &self.0.projections
    }

    /// Makes a view's tables, or a new generation of them if their version is another.
    async fn ensure(&self, projection: &dyn Projection) -> Result<(), StoreError> {
        let (name, schema) = (projection.name(), projection.schema());
        match self.kept()?.registered(name).await? {
            Some((generation, version)) if version == u64::from(schema.version) => {
                self.kept()?.set_generation(name, generation);
                Ok(())
            }
            Some((generation, version)) => {
                tracing::info!(
                    view = name,
                    from = version,
                    to = schema.version,
                    "a view is rebuilt for its new version"
                );
                self.create(projection, generation + 1).await?;
                self.go_live(projection, generation + 1, &[]).await.map(drop)
            }
            None => {
                self.create(projection, 1).await?;
                self.go_live(projection, 1, &[]).await.map(drop)
            }
        }
    }

    /// The live generation of a view, where it is kept.
    pub(crate) fn generation(&self, name: &str) -> u64 {
        self.origin().generation(name)
    }

    /// Looks up which generations are live, where the views are kept.
    pub(crate) async fn reload(&self) -> Result<(), StoreError> {
        let reloaded = self.origin().reload(&self.0.projections).await.map(drop);
        self.swapped();
        reloaded
    }

    /// How far a view's generation has come in a source, with the source's epoch then, where it is kept; nothing if it never
    /// started.
    pub(crate) async fn place(
        &self,
        name: &'static str,
        generation: u64,
        source: &'static str,
    ) -> Result<Option<(Position, Uuid)>, StoreError> {
        self.origin().place(name, generation, source).await
    }

    /// Makes the empty tables of a generation; whatever was left of it is dropped.
    pub(crate) async fn create(
        &self,
        projection: &dyn Projection,
        generation: u64,
    ) -> Result<(), StoreError> {
        let schema = projection.schema();
        let ddl = match self.dialect() {
            Dialect::Sqlite => schema.sqlite,
            Dialect::Postgres => schema.postgres,
        };
        let drops = drop_sql(projection, generation);
        let ddl = resolve(ddl, |_| prefix(generation));
        let name = projection.name().replace('\'', "");
        let sql = format!(
            "{drops} DELETE FROM view_places WHERE name = '{name}' AND generation = {generation}; {ddl}"
        );
        self.kept()?.batch(None, projection.name(), sql).await.map(drop)
    }

    /// Makes a generation the live one and drops the one before, in one transaction; but not (`false`) while it is behind
    /// the live one in any of `sources`: a view doesn't go back.
    pub(crate) async fn go_live(
        &self,
        projection: &dyn Projection,
        generation: u64,
        sources: &[(&'static str, Uuid)],
    ) -> Result<bool, StoreError> {
        let (name, version) = (projection.name(), projection.schema().version);
        let old = self.kept()?.registered(name).await?.map(|(generation, _)| generation);
        let drops = match old {
            Some(old) if old != generation => drop_sql(projection, old),
            _ => String::new(),
        };
        let swap = format!(
            "INSERT INTO views (name, generation, version) VALUES ('{name}', {generation}, {version})
               ON CONFLICT (name) DO UPDATE SET generation = excluded.generation, version = excluded.version;
             DELETE FROM view_places WHERE name = '{name}' AND generation <> {generation};
             {drops}"
        );
        let mut tries = 0;
        let swapped = loop {
            let sources = sources.to_vec();
            let allow = move |places: &[Place]| !is_behind(places, generation, &sources);
            match self.kept()?.batch(Some(Box::new(allow)), name, swap.clone()).await {
                // Crossed by a query of the old tables, and sent away instead of it.
                Err(error) if tries < SWAP_TRIES && is_deadlock(&error) => tries += 1,
                result => break result?,
            }
        };
        if swapped {
            self.kept()?.set_generation(name, generation);
            self.swapped();
        }
        Ok(swapped)
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::{CodecError, Incoming, Schema, Writes};

    use super::*;

    struct View(&'static str, &'static [&'static str]);

    impl Projection for View {
        fn name(&self) -> &'static str {
            self.0
        }
        fn sources(&self) -> &'static [&'static str] {
            &[]
        }
        fn schema(&self) -> Schema {
            Schema { version: 1, sqlite: "", postgres: "", tables: self.1 }
        }
        fn project(&self, _: &Incoming<'_>, _: &mut Writes) -> Result<(), CodecError> {
            Ok(())
        }
    }

    #[test]
    fn two_views_with_one_table_are_refused_by_name() {
        let views = |tables| -> [Arc<dyn Projection>; 2] {
            [Arc::new(View("people", &["names", "faces"])), Arc::new(View("rooms", tables))]
        };
        assert!(refuse_shared_tables(&views(&["walls"])).is_ok());
        let refused = refuse_shared_tables(&views(&["walls", "faces"])).expect_err("both have faces");
        assert!(
            refused.to_string().contains("the views people and rooms both have a table faces"),
            "{refused}"
        );
    }
}
