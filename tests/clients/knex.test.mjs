// knex with its libSQL dialect, unchanged, against one datacenter; checked at another.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import Libsql from '@libsql/knex-libsql'
import createKnex from 'knex'
import { startGateways, until, ways } from './gateways.mjs'

const steps = {
  '1 shop': {
    async up(db) {
      await db.schema.createTable('authors', (t) => {
        t.text('id').primary()
        t.string('email').notNullable().unique()
        t.text('nickname')
      })
      await db.schema.createTable('books', (t) => {
        t.text('id').primary()
        t.text('author_id').notNullable().references('authors.id').onDelete('CASCADE').index()
        t.string('title', 100).notNullable()
        t.bigInteger('isbn')
        t.json('meta')
        t.binary('cover')
        t.integer('stock').notNullable().defaultTo(0)
        t.boolean('listed').defaultTo(true)
        t.timestamp('published').defaultTo(db.fn.now())
      })
    },
    async down(db) {
      await db.schema.dropTable('books')
      await db.schema.dropTable('authors')
    },
  },
  '2 tags': {
    async up(db) {
      await db.schema.createTable('tags', (t) => {
        t.text('book_id').references('books.id').onDelete('CASCADE')
        t.text('tag')
        t.primary(['book_id', 'tag'])
      })
      await db('authors').insert({ id: 'ann', email: 'ann@example.com' })
    },
    down: (db) => db.schema.dropTable('tags'),
  },
}
const migrationSource = {
  getMigrations: async () => Object.keys(steps),
  getMigrationName: (step) => step,
  getMigration: async (step) => steps[step],
}

for (const { scheme, home, away } of ways) {
  describe(`${scheme} at ${home}`, () => {
    let gateways, here, there

    before(async () => {
      gateways = await startGateways()
      const connect = (dc) =>
        createKnex({
          client: Libsql,
          connection: { filename: gateways.url(dc, scheme) },
          useNullAsDefault: true,
          acquireConnectionTimeout: 5_000,
        })
      here = connect(home)
      there = connect(away)
      await here.migrate.latest({ migrationSource })
      await until(() => there('authors').first(), 'the schema and the first author there')
    })

    after(async () => {
      await here?.destroy()
      await there?.destroy()
      await gateways.stop()
    })

    const bookThere = (id) => until(() => there('books').where({ id }).first(), `${id} there`)
    const book = (id, more) => ({ id, author_id: 'ann', title: id.toUpperCase(), ...more })

    test('migrations are remembered, at both sites', async () => {
      const [done, left] = await here.migrate.list({ migrationSource })
      assert.deepEqual([done.map((m) => m.name), left], [Object.keys(steps), []])
      const names = await until(async () => {
        const found = await there('knex_migrations').orderBy('id').pluck('name')
        return found.length === 2 && found
      }, 'both migrations there')
      assert.deepEqual(names, Object.keys(steps))
    })

    test('columns, indexes and keys are read as a schema tool does', async () => {
      const columns = await here('books').columnInfo()
      assert.equal(columns.isbn.type, 'bigint')
      assert.equal(columns.title.maxLength, '100')
      assert.equal(columns.author_id.nullable, false)
      const [key] = await here.raw('PRAGMA foreign_key_list(books)')
      assert.deepEqual([key.table, key.from, key.on_delete], ['authors', 'author_id', 'CASCADE'])
    })

    test('foreign keys are known to be on: knex asks before it rebuilds a table', async () => {
      assert.equal((await here.raw('PRAGMA foreign_keys'))[0].foreign_keys, 1)
    })

    test('every type of value arrives exactly', async () => {
      const published = new Date('2026-01-02T03:04:05.678Z')
      await here('books').insert(
        book('types', {
          isbn: 9007199254740993n,
          meta: JSON.stringify({ tags: ['a', 'ü'], deep: { n: 1.5 } }),
          cover: Buffer.from([0, 1, 254, 255]),
          listed: false,
          published,
        }),
      )
      const row = await until(
        () =>
          there('books')
            .where({ id: 'types' })
            .whereJsonPath('meta', '$.deep.n', '>', 1)
            .select('cover', 'listed', 'published', 'stock', there.raw('CAST(isbn AS TEXT) AS isbn'))
            .jsonExtract('meta', '$.tags[1]', 'tag')
            .first(),
        'the book there',
      )
      assert.equal(row.isbn, '9007199254740993')
      assert.deepEqual(Buffer.from(row.cover), Buffer.from([0, 1, 254, 255]))
      assert.equal(row.published, published.getTime())
      assert.deepEqual([row.listed, row.stock, row.tag], [0, 0, 'ü'])
      await assert.rejects(there('books').where({ id: 'types' }).first(), RangeError)
    })

    test('a join, a group and a subquery', async () => {
      await here('authors').insert({ id: 'bob', email: 'bob@example.com' })
      const bobs = { author_id: 'bob' }
      await here('books').insert([book('j1', { ...bobs, stock: 2 }), book('j2', { ...bobs, stock: 5 })])
      await bookThere('j2')
      const [row] = await there('authors as a')
        .join('books as b', 'b.author_id', 'a.id')
        .whereIn('a.id', there('books').where('stock', '>', 4).select('author_id'))
        .groupBy('a.email')
        .select('a.email')
        .sum('b.stock as stock')
        .count('* as n')
      assert.deepEqual({ ...row }, { email: 'bob@example.com', stock: 7, n: 2 })
    })

    test('batchInsert is one transaction', async () => {
      const rows = Array.from({ length: 250 }, (_, i) => book(`batch${i}`))
      await here.batchInsert('books', rows, 30)
      await bookThere('batch249')
      assert.equal((await there('books').whereLike('id', 'batch%').pluck('id')).length, 250)
      const half = here.batchInsert('books', [book('half'), book('batch0')], 1)
      await assert.rejects(half, { code: 'SQLITE_CONSTRAINT' })
      assert.equal(await here('books').where({ id: 'half' }).first(), undefined)
    })

    test('upserts, returning, update and delete', async () => {
      const insert = (stock) => here('books').insert(book('upsert', { stock })).onConflict('id')
      const [made] = await insert(1).merge().returning(['id', 'stock'])
      assert.deepEqual({ ...made }, { id: 'upsert', stock: 1 })
      await insert(2).ignore()
      assert.equal((await here('books').where({ id: 'upsert' }).first()).stock, 1)
      await insert(3).merge(['stock'])
      assert.equal(await here('books').where({ id: 'upsert' }).increment('stock', 39), 1)
      await until(async () => (await bookThere('upsert')).stock === 42, 'the stock there')
      const [row] = await here('books').where({ id: 'upsert' }).update({ title: 'New' }).returning('*')
      assert.deepEqual([row.title, row.stock], ['New', 42])
      assert.equal(await here('books').where({ id: 'upsert' }).delete(), 1)
      assert.equal(await here('books').where({ id: 'upsert' }).delete(), 0)
      await until(async () => !(await there('books').where({ id: 'upsert' }).first()), 'gone there')
    })

    test('transactions commit and roll back', async () => {
      await here.transaction(async (trx) => {
        await trx('books').insert(book('done'))
        await trx('books').where({ id: 'done' }).increment('stock', 42)
        assert.equal((await trx('books').where({ id: 'done' }).first()).stock, 42)
      })
      assert.equal((await bookThere('done')).stock, 42)
      const fails = here.transaction(async (trx) => {
        await trx('books').insert(book('undone'))
        await trx('books').insert(book('done'))
      })
      await assert.rejects(fails, { code: 'SQLITE_CONSTRAINT' })
      const trx = await here.transaction()
      await trx('books').insert(book('undone'))
      await trx.rollback()
      await here('books').insert(book('later'))
      await bookThere('later')
      for (const db of [here, there])
        assert.equal(await db('books').where({ id: 'undone' }).first(), undefined)
    })

    test('a transaction inside a transaction is undone alone', async () => {
      await here.transaction(async (trx) => {
        await trx('books').insert(book('around'))
        const inner = trx.transaction(async (nested) => {
          await nested('books').insert(book('inside'))
          throw new Error('inner fails')
        })
        await assert.rejects(inner, /inner fails/)
        await trx.transaction((nested) => nested('books').insert(book('inside too')))
      })
      await bookThere('around')
      for (const db of [here, there])
        assert.deepEqual(await db('books').whereLike('id', 'inside%').pluck('id'), ['inside too'])
    })

    test('constraints hold, and deleting an author deletes the books, at both sites', async () => {
      const refused = (row, table, message) =>
        assert.rejects(here(table).insert(row), { code: 'SQLITE_CONSTRAINT', message })
      await refused({ id: 'x', email: 'ann@example.com' }, 'authors', /UNIQUE constraint failed: authors.email/)
      await refused(book('x', { author_id: 'nobody' }), 'books', /FOREIGN KEY constraint failed/)
      await refused(book('x', { title: null }), 'books', /NOT NULL constraint failed: books.title/)
      await here('authors').insert({ id: 'eve', email: 'eve@example.com' })
      await here('books').insert(book('eve1', { author_id: 'eve' }))
      await bookThere('eve1')
      assert.equal(await here('authors').where({ id: 'eve' }).delete(), 1)
      for (const db of [here, there])
        await until(async () => !(await db('books').where({ id: 'eve1' }).first()), 'the cascade')
    })

    test('writes at both sites meet, and both sites show the same', async () => {
      await here('books').insert(book('both', { stock: 1 }))
      await bookThere('both')
      const write = (db, more, prefix) =>
        db.transaction(async (trx) => {
          await trx('books').where({ id: 'both' }).update(more)
          for (let i = 0; i < 20; ++i) await trx('books').insert(book(`${prefix}${i}`))
        })
      await Promise.all([write(here, { stock: 7 }, 'meet-h'), write(there, { title: 'There' }, 'meet-t')])
      const shown = (db) =>
        db('books').where({ id: 'both' }).orWhereLike('id', 'meet-%').orderBy('id')
      const [both] = await until(async () => {
        const [a, b] = (await Promise.all([shown(here), shown(there)])).map((rows) => rows.map((r) => ({ ...r })))
        assert.deepEqual(a, b)
        return a.length === 41 && a
      }, 'both transactions at both sites')
      assert.deepEqual([both.id, both.stock, both.title], ['both', 7, 'There'])
    })

    test('a migration adds a column, and is taken back', async () => {
      const more = {
        up: (db) => db.schema.alterTable('authors', (t) => t.text('country').defaultTo('JP')),
        down: (db) => db.schema.alterTable('authors', (t) => t.dropColumn('country')),
      }
      const source = {
        ...migrationSource,
        getMigrations: async () => [...Object.keys(steps), '3 country'],
        getMigration: async (step) => steps[step] ?? more,
      }
      await here.migrate.up({ migrationSource: source })
      await until(async () => (await there('authors').first()).country === 'JP', 'the column there')
      await here.migrate.down({ migrationSource: source })
      await until(async () => !(await there.schema.hasColumn('authors', 'country')), 'no column there')
      assert.equal((await there('authors').where({ id: 'ann' }).first()).email, 'ann@example.com')
    })
  })
}
