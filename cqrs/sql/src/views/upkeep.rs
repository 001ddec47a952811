//! What a projection does to its view's own rows in a step, beside what the events change.

use async_trait::async_trait;
use cqrs_core::{ColumnKind, Projection, Row, RowError, Sql, Statement, StoreError, Value, ViewRows};

use super::{Views, prefix};
use crate::dialect::resolve;

/// One generation of a view's tables, read where they are kept.
struct Generation<'a> {
    views: &'a Views,
    number: u64,
}

#[async_trait]
impl ViewRows for Generation<'_> {
    async fn rows(
        &self,
        sql: Sql,
        params: Vec<Value>,
        columns: &'static [ColumnKind],
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let sql = resolve(self.views.dialect().pick(sql), |_| prefix(self.number));
        let values = move |row: &dyn Row| -> Result<Vec<Value>, RowError> {
            columns.iter().enumerate().map(|(n, kind)| value(row, n, *kind)).collect()
        };
        self.views.origin().select(sql, params, values).await
    }
}

fn value(row: &dyn Row, n: usize, kind: ColumnKind) -> Result<Value, RowError> {
    Ok(match kind {
        ColumnKind::Bool => row.int(n)?.map(|int| int != 0).into(),
        ColumnKind::Int => row.int(n)?.into(),
        ColumnKind::Text => row.text(n)?.into(),
        ColumnKind::Bytes => row.bytes(n)?.into(),
        ColumnKind::Uuid => row.uuid(n)?.into(),
    })
}

impl Views {
    /// The statements of a step: those of the projection's upkeep, and after them those that the events ask for.
    pub(crate) async fn with_upkeep(
        &self,
        projection: &dyn Projection,
        generation: u64,
        noted: &[Value],
        statements: Vec<Statement>,
    ) -> Result<Vec<Statement>, StoreError> {
        let mut all = projection.upkeep(&Generation { views: self, number: generation }, noted).await?.0;
        if all.is_empty() {
            return Ok(statements);
        }
        all.extend(statements);
        Ok(all)
    }
}
