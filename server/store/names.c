/* SPDX-License-Identifier: MIT */
#include "store/names.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "tensord/limits.h"

#define KEY_BYTES(n_text) (offsetof(struct name_key, text) + (n_text))

void names_init(struct names *names, uint64_t seed)
{
        *names = (struct names){ .random = seed | 1 };
}

void names_deinit(struct names *names)
{
        assert(!names->first[0] && !names->by_key && names->n_names == 0);
}

/*
 * Three of four entries stand on the lowest level alone. xorshift64, from a seed that no client
 * knows.
 */
static uint8_t names_height(struct names *names)
{
        uint64_t bits;
        uint8_t height = 1;

        names->random ^= names->random << 13;
        names->random ^= names->random >> 7;
        names->random ^= names->random << 17;
        bits = names->random >> 16;
        while (height < NAMES_HEIGHT && (bits & 3) == 0) {
                height++;
                bits >>= 2;
        }
        return height;
}

static int name_compare(const struct name *name, uid_t uid, const char *text, size_t n_text)
{
        int r;

        if (name->user->uid != uid)
                return name->user->uid < uid ? -1 : 1;
        r = strncmp(name_text(name), text, n_text);
        return r ? r : name_text(name)[n_text] != '\0';
}

/* The links that point at, or behind, the place of the name; returns what stands there. */
static struct name *names_seek(const struct names *names, uid_t uid, const char *text,
                               size_t n_text, struct name *const *links[NAMES_HEIGHT])
{
        struct name *const *level = names->first;

        for (unsigned h = NAMES_HEIGHT; h-- > 0;) {
                while (level[h] && name_compare(level[h], uid, text, n_text) < 0)
                        level = level[h]->next;
                if (links)
                        links[h] = &level[h];
        }
        return level[0];
}

struct name *names_from(const struct names *names, uid_t uid, const char *text)
{
        struct name *name = names_seek(names, uid, text, strlen(text), NULL);

        return name && name->user->uid == uid ? name : NULL;
}

struct name *names_find(const struct names *names, uid_t uid, const char *text, size_t n_text)
{
        char key[KEY_BYTES(TD_NAME_MAX)];
        struct name *name;

        if (n_text > TD_NAME_MAX)
                return NULL;
        memcpy(key, &uid, sizeof(uid));
        memcpy(key + KEY_BYTES(0), text, n_text);
        HASH_FIND(hh, names->by_key, key, (unsigned)KEY_BYTES(n_text), name);
        /* Of many tensors most lie in no cache: its lines come at once, not one after the other. */
        for (size_t i = 0; name && name->tensor && i < NAMES_FETCHED; i += 64)
                __builtin_prefetch((const char *)name->tensor + i);
        return name;
}

struct name *names_next(const struct name *name)
{
        struct name *next = name->next[0];

        return next && next->user->uid == name->user->uid ? next : NULL;
}

/* An entry that stands nowhere yet; NULL: no memory. */
static struct name *name_new(struct names *names, struct user *user, const char *text,
                             size_t n_text)
{
        uint8_t height = names_height(names);
        size_t n_links = height * sizeof(struct name *);
        struct name *name = calloc(1, sizeof(*name) + n_links + KEY_BYTES(n_text) + 1);
        struct name_key *key;

        if (!name)
                return NULL;
        key = (struct name_key *)((char *)name + sizeof(*name) + n_links);
        key->uid = user->uid;
        memcpy(key->text, text, n_text);
        HASH_ADD_KEYPTR(hh, names->by_key, key, (unsigned)KEY_BYTES(n_text), name);
        if (!table_has(name)) {
                free(name);
                return NULL;
        }
        name->height = height;
        name->user = user_ref(user);
        return name;
}

int names_get(struct names *names, struct user *user, const char *text, size_t n_text,
              struct name **namep)
{
        struct name *const *links[NAMES_HEIGHT];
        struct name *name = names_find(names, user->uid, text, n_text);

        assert(n_text <= TD_NAME_MAX);
        if (!name) {
                name = name_new(names, user, text, n_text);
                if (!name)
                        return -ENOMEM;
                names_seek(names, user->uid, text, n_text, links);
                for (unsigned h = 0; h < name->height; h++) {
                        name->next[h] = *links[h];
                        *(struct name **)links[h] = name;
                }
                names->n_names++;
        }
        *namep = name;
        return 0;
}

void names_settle(struct names *names, struct name *name)
{
        struct name *const *links[NAMES_HEIGHT];

        if (name->tensor || name->reservation || name->loss)
                return;
        assert(!name->outcome && !name->record.user);
        names_seek(names, name->user->uid, name_text(name), strlen(name_text(name)), links);
        for (unsigned h = 0; h < name->height; h++) {
                assert(*links[h] == name);
                *(struct name **)links[h] = name->next[h];
        }
        HASH_DEL(names->by_key, name);
        names->n_names--;
        user_unref(name->user);
        free(name);
}
