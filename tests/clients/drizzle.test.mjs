// drizzle-orm over @libsql/client, unchanged: a small blog at one datacenter, checked at another.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { count, desc, eq, relations, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/libsql'
import { migrate } from 'drizzle-orm/libsql/migrator'
import { blob, integer, real, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { startGateways, until, ways } from './gateways.mjs'

const authors = sqliteTable('authors', {
  id: text('id').primaryKey(),
  email: text('email').notNull().unique(),
  settings: text('settings', { mode: 'json' }).default({}),
  joined: integer('joined', { mode: 'timestamp_ms' }),
  admin: integer('admin', { mode: 'boolean' }).notNull().default(false),
  picture: blob('picture', { mode: 'buffer' }),
  balance: blob('balance', { mode: 'bigint' }),
  score: real('score'),
})
const posts = sqliteTable('posts', {
  id: text('id').primaryKey(),
  author: text('author').notNull().references(() => authors.id, { onDelete: 'cascade' }),
  title: text('title').notNull(),
  written: integer('written', { mode: 'timestamp' }),
  likes: integer('likes').notNull().default(0),
})
const visits = sqliteTable('visits', { id: integer('id').primaryKey(), page: text('page').notNull() })
const schema = {
  authors,
  posts,
  visits,
  ofAuthor: relations(authors, ({ many }) => ({ posts: many(posts) })),
  ofPost: relations(posts, ({ one }) => ({
    writer: one(authors, { fields: [posts.author], references: [authors.id] }),
  })),
}

// What drizzle-kit writes: a file a migration (and the journal, below).
const migrations = [
  [
    `CREATE TABLE \`authors\` (
	\`id\` text PRIMARY KEY NOT NULL, \`email\` text NOT NULL, \`settings\` text DEFAULT '{}', \`joined\` integer,
	\`admin\` integer DEFAULT false NOT NULL, \`picture\` blob, \`balance\` blob, \`score\` real
);`,
    'CREATE UNIQUE INDEX `authors_email_unique` ON `authors` (`email`);',
    `CREATE TABLE \`posts\` (
	\`id\` text PRIMARY KEY NOT NULL, \`author\` text NOT NULL, \`title\` text NOT NULL, \`written\` integer,
	\`likes\` integer DEFAULT 0 NOT NULL,
	FOREIGN KEY (\`author\`) REFERENCES \`authors\`(\`id\`) ON UPDATE no action ON DELETE cascade
);`,
    'CREATE INDEX `posts_author` ON `posts` (`author`);',
  ],
  ['CREATE TABLE `visits` (\n\t`id` integer PRIMARY KEY NOT NULL,\n\t`page` text NOT NULL\n);'],
  ['ALTER TABLE `posts` ADD `pinned` integer DEFAULT 7 NOT NULL;'],
].map((statements) => statements.join('\n--> statement-breakpoint\n'))

for (const { scheme, home, away } of ways) {
  describe(`${scheme} at ${home}`, () => {
    let gateways, here, there, folder

    const migrateTo = (n) => {
      const entries = migrations.slice(0, n).map((text, idx) => {
        writeFileSync(join(folder, `000${idx}_step.sql`), text)
        return { idx, version: '6', when: 1700000000000 + idx, tag: `000${idx}_step`, breakpoints: true }
      })
      const journal = { version: '7', dialect: 'sqlite', entries }
      writeFileSync(join(folder, 'meta/_journal.json'), JSON.stringify(journal))
      return migrate(here, { migrationsFolder: folder })
    }
    const at = (db, find) => until(() => find(db), 'it there')

    before(async () => {
      gateways = await startGateways()
      here = drizzle({ connection: { url: gateways.url(home, scheme) }, schema })
      there = drizzle({ connection: { url: gateways.url(away, scheme) }, schema })
      folder = mkdtempSync(join(tmpdir(), 'entente-drizzle-'))
      mkdirSync(join(folder, 'meta'))
      await migrateTo(1)
      await migrateTo(2)
      await at(there, (db) => db.select().from(visits))
    })

    after(async () => {
      here.$client.close()
      there.$client.close()
      rmSync(folder, { recursive: true })
      await gateways.stop()
    })

    const author = (id, more = {}) => here.insert(authors).values({ id, email: `${id}@example.com`, ...more })

    test('migrations that were applied are not applied again', async () => {
      await migrateTo(2)
      const applied = await here.all(sql`SELECT created_at FROM __drizzle_migrations ORDER BY created_at`)
      assert.deepEqual(applied.map((row) => Number(row.created_at)), [1700000000000, 1700000000001])
    })

    test('every type of column arrives exactly', async () => {
      const ada = {
        id: 'ada',
        email: 'ada@example.com',
        settings: { theme: 'dark', tags: ['a', 'ü', '日本'], n: 1.5 },
        joined: new Date('2026-01-02T03:04:05.678Z'),
        admin: true,
        picture: Buffer.from([0, 1, 2, 255]),
        balance: 123456789012345678901234567890n,
        score: 0.1,
      }
      assert.deepEqual(await here.insert(authors).values(ada).returning(), [ada])
      const arrived = await at(there, (db) => db.query.authors.findFirst({ where: eq(authors.id, 'ada') }))
      assert.deepEqual(arrived, ada)
      const exact = await here.get(sql`SELECT CAST(${9007199254740993n} AS text) AS n, ${true} + 1 AS two`)
      assert.deepEqual(exact, { n: '9007199254740993', two: 2 })
    })

    test('relations, joins and aggregates', async () => {
      await author('bo')
      const written = new Date('2026-05-06T07:08:09Z')
      await here.insert(posts).values([
        { id: 'bo1', author: 'bo', title: 'one', written },
        { id: 'bo2', author: 'bo', title: 'two', written },
      ])
      const bo = await at(there, async (db) => {
        const found = await db.query.authors.findFirst({
          where: eq(authors.id, 'bo'),
          with: { posts: { columns: { title: true, written: true }, orderBy: desc(posts.title), with: { writer: true } } },
        })
        return found?.posts.length === 2 && found
      })
      assert.equal(bo.email, 'bo@example.com')
      assert.deepEqual(bo.posts.map((p) => p.title), ['two', 'one'])
      assert.deepEqual(bo.posts[0].written, written)
      assert.equal(bo.posts[0].writer.id, 'bo')
      const joined = await there
        .select({ id: authors.id, posts: count(posts.id) })
        .from(authors)
        .leftJoin(posts, eq(posts.author, authors.id))
        .where(eq(authors.id, 'bo'))
        .groupBy(authors.id)
      assert.deepEqual(joined, [{ id: 'bo', posts: 2 }])
      assert.equal(await here.$count(posts, eq(posts.author, 'bo')), 2)
    })

    test('an upsert updates, and RETURNING shows it', async () => {
      const like = () =>
        here
          .insert(posts)
          .values({ id: 'up', author: 'up', title: 'up', likes: 1 })
          .onConflictDoUpdate({ target: posts.id, set: { likes: sql`${posts.likes} + excluded.likes` } })
          .returning({ likes: posts.likes })
      await author('up')
      assert.deepEqual(await like(), [{ likes: 1 }])
      assert.deepEqual(await like(), [{ likes: 2 }])
      await at(there, async (db) => (await db.query.posts.findFirst({ where: eq(posts.id, 'up') }))?.likes === 2)
      const nothing = await author('up').onConflictDoNothing().returning()
      assert.deepEqual(nothing, [])
      const gone = await here.delete(posts).where(eq(posts.id, 'up')).returning({ id: posts.id })
      assert.deepEqual(gone, [{ id: 'up' }])
      await at(there, async (db) => (await db.$count(posts, eq(posts.id, 'up'))) === 0)
    })

    test('a transaction reads its own writes, and commits whole', async () => {
      await here.transaction(async (tx) => {
        await tx.insert(authors).values({ id: 'tx', email: 'tx@example.com' })
        await tx.insert(posts).values({ id: 'tx1', author: 'tx', title: 'one' })
        assert.equal(await tx.$count(posts, eq(posts.author, 'tx')), 1)
        assert.equal(await here.$count(posts, eq(posts.author, 'tx')), 0)
      })
      const tx = await at(there, (db) =>
        db.query.authors.findFirst({ where: eq(authors.id, 'tx'), with: { posts: true } }),
      )
      assert.deepEqual(tx.posts.map((p) => p.id), ['tx1'])
    })

    test('a nested transaction that is rolled back (a savepoint) leaves the rest', async () => {
      await author('sp')
      await here.transaction(async (tx) => {
        await tx.insert(posts).values({ id: 'sp1', author: 'sp', title: 'kept' })
        const nested = (id, fails) =>
          tx.transaction(async (inner) => {
            await inner.insert(posts).values({ id, author: 'sp', title: id })
            if (fails) inner.rollback()
          })
        await assert.rejects(nested('undone', true), /Rollback/)
        await nested('sp2', false)
      })
      const ids = await at(there, async (db) => {
        const found = await db.select({ id: posts.id }).from(posts).where(eq(posts.author, 'sp')).orderBy(posts.id)
        return found.length > 0 && found.map((p) => p.id)
      })
      assert.deepEqual(ids, ['sp1', 'sp2'])
    })

    test('a transaction that throws leaves nothing', async () => {
      const failing = here.transaction(async (tx) => {
        await tx.insert(authors).values({ id: 'never', email: 'never@example.com' })
        await tx.insert(authors).values({ id: 'other', email: 'never@example.com' })
      })
      await assert.rejects(failing, (error) => error.cause.code === 'SQLITE_CONSTRAINT')
      assert.equal(await here.$count(authors, eq(authors.email, 'never@example.com')), 0)
    })

    test('a batch is all or nothing and answers each query', async () => {
      const [written, all, one] = await here.batch([
        author('ba').returning({ id: authors.id, admin: authors.admin }),
        here.select({ id: authors.id }).from(authors).where(eq(authors.id, 'ba')),
        here.query.authors.findFirst({ where: eq(authors.id, 'ba'), with: { posts: true } }),
      ])
      assert.deepEqual(written, [{ id: 'ba', admin: false }])
      assert.deepEqual(all, [{ id: 'ba' }])
      assert.deepEqual(one.posts, [])
      await assert.rejects(here.batch([author('bb'), author('ba')]), (error) => error.code === 'SQLITE_CONSTRAINT')
      assert.equal(await here.$count(authors, eq(authors.id, 'bb')), 0)
    })

    test('integer keys number themselves, and differently at each site', async () => {
      const [a, b] = await here.insert(visits).values([{ page: '/a' }, { page: '/b' }]).returning()
      assert.ok(a.id < b.id && Number.isSafeInteger(b.id))
      const { lastInsertRowid, rowsAffected } = await here.insert(visits).values({ page: '/c' })
      assert.equal(rowsAffected, 1)
      const id = Number(lastInsertRowid)
      await at(there, async (db) => (await db.query.visits.findFirst({ where: eq(visits.id, id) }))?.page === '/c')
      const many = (db) => Promise.all(Array.from({ length: 20 }, () => db.insert(visits).values({ page: '/many' })))
      await Promise.all([many(here), many(there)])
      for (const db of [here, there]) {
        await at(db, async (x) => (await x.$count(visits, eq(visits.page, '/many'))) === 40)
      }
    })

    test('deleting an author takes the posts along, at both sites', async () => {
      await author('cy')
      await here.insert(posts).values({ id: 'cy1', author: 'cy', title: 'x' })
      await at(there, (db) => db.query.posts.findFirst({ where: eq(posts.id, 'cy1') }))
      await here.delete(authors).where(eq(authors.id, 'cy'))
      assert.equal(await here.$count(posts, eq(posts.author, 'cy')), 0)
      await at(there, async (db) => (await db.$count(posts, eq(posts.author, 'cy'))) === 0)
      await assert.rejects(
        here.insert(posts).values({ id: 'orphan', author: 'nobody', title: 'x' }),
        (error) => error.cause.code === 'SQLITE_CONSTRAINT',
      )
    })

    test('writes at both sites meet, and both sites show the same', async () => {
      await author('di')
      await at(there, (db) => db.query.authors.findFirst({ where: eq(authors.id, 'di') }))
      const post = (db, title) => (i) => db.insert(posts).values({ id: `${title} ${i}`, author: 'di', title })
      await Promise.all([
        ...[...Array(10).keys()].map(post(here, 'here')),
        ...[...Array(10).keys()].map(post(there, 'there')),
        here.update(authors).set({ score: 1.5 }).where(eq(authors.id, 'di')),
        there.update(authors).set({ settings: { from: 'there' } }).where(eq(authors.id, 'di')),
      ])
      const show = (db) =>
        db.query.authors.findFirst({ where: eq(authors.id, 'di'), with: { posts: { orderBy: posts.id } } })
      await until(async () => {
        const both = await Promise.all([show(here), show(there)])
        return both.every((di) => di.posts.length === 20 && di.score === 1.5 && di.settings.from === 'there')
      }, 'all writes at both sites')
      assert.deepEqual(await show(here), await show(there))
    })

    test('a later migration adds a column, at both sites', async () => {
      const pins = sqliteTable('posts', { id: text('id').primaryKey(), pinned: integer('pinned') })
      await author('eve')
      await here.insert(posts).values({ id: 'eve1', author: 'eve', title: 'old' })
      await migrateTo(3)
      const pinned = (db) => db.select().from(pins).where(eq(pins.id, 'eve1'))
      await at(there, async (db) => (await pinned(db))[0]?.pinned === 7)
    })
  })
}
