/* module.c - see module.h. Reads the dynamic symbol table of a 64-bit ELF file; every offset is checked against the
 * file's length. */
#include "client/module.h"

#include <dlfcn.h>
#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "client/ranq.h"

struct elf {
	const unsigned char *data;
	size_t len;
	Elf64_Ehdr head;
	Elf64_Shdr symbols, strings;
};

static bool get(const struct elf *elf, uint64_t at, void *to, size_t n)
{
	if (at > elf->len || n > elf->len - at)
		return false;
	memcpy(to, elf->data + at, n);
	return true;
}

static bool get_section(const struct elf *elf, uint64_t i, Elf64_Shdr *section)
{
	if (i >= elf->head.e_shnum || elf->head.e_shentsize != sizeof *section || elf->head.e_shoff > elf->len)
		return false;
	return get(elf, elf->head.e_shoff + i * sizeof *section, section, sizeof *section);
}

static bool inside(const struct elf *elf, const Elf64_Shdr *section)
{
	return section->sh_offset <= elf->len && section->sh_size <= elf->len - section->sh_offset;
}

static bool find_symbols(struct elf *elf)
{
	Elf64_Shdr last;
	/* the table stands at the end of the file: a file that was cut short has lost some of it */
	if (!elf->head.e_shnum || !get_section(elf, elf->head.e_shnum - 1u, &last))
		return false;
	for (uint64_t i = 0; i < elf->head.e_shnum; i++) {
		if (!get_section(elf, i, &elf->symbols) || elf->symbols.sh_type != SHT_DYNSYM)
			continue;
		return get_section(elf, elf->symbols.sh_link, &elf->strings) && inside(elf, &elf->symbols) &&
		       inside(elf, &elf->strings);
	}
	return false;
}

static bool name_is(const struct elf *elf, uint32_t at, const char *name)
{
	size_t n = strlen(name) + 1;
	return at < elf->strings.sh_size && n <= elf->strings.sh_size - at &&
	       memcmp(elf->data + elf->strings.sh_offset + at, name, n) == 0;
}

static bool find_symbol(const struct elf *elf, const char *name, unsigned type, Elf64_Sym *symbol)
{
	for (uint64_t i = 0; i < elf->symbols.sh_size / sizeof *symbol; i++) {
		if (!get(elf, elf->symbols.sh_offset + i * sizeof *symbol, symbol, sizeof *symbol))
			return false;
		if (symbol->st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbol->st_info) == type &&
			name_is(elf, symbol->st_name, name))
			return true;
	}
	return false;
}

/* The constant stands in the file, in the section that its address lies in. */
static bool get_abi(const struct elf *elf, uint32_t *abi)
{
	Elf64_Sym symbol;
	Elf64_Shdr section;
	if (!find_symbol(elf, "ranq_module_abi", STT_OBJECT, &symbol) || !get_section(elf, symbol.st_shndx, &section))
		return false;
	if (symbol.st_value < section.sh_addr || section.sh_type == SHT_NOBITS || section.sh_offset > elf->len)
		return false;
	uint64_t within = symbol.st_value - section.sh_addr;
	return within <= elf->len && get(elf, section.sh_offset + within, abi, sizeof *abi);
}

int ranq_module_check(const void *data, size_t len, const char *name, const char *function, struct ranq_err *err)
{
	struct elf elf = {.data = data, .len = len};
	uint32_t abi;
	Elf64_Sym symbol;
	if (!get(&elf, 0, &elf.head, sizeof elf.head) || memcmp(elf.head.e_ident, ELFMAG, SELFMAG) != 0)
		return ranq_err_set(err, RANQ_ERR_INPUT, "module '%s' is not a shared object (no ELF file)", name);
	if (elf.head.e_ident[EI_CLASS] != ELFCLASS64 || elf.head.e_type != ET_DYN)
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"module '%s' is not a 64-bit shared object; build it with -shared -fPIC", name);
	if (!find_symbols(&elf))
		return ranq_err_set(err, RANQ_ERR_INPUT, "module '%s' is damaged: no dynamic symbols", name);
	if (!get_abi(&elf, &abi))
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"module '%s' does not state its ABI; put RANQ_MODULE; into its source", name);
	if (abi != RANQ_MODULE_ABI)
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"module '%s' was built for module ABI %u, this is %u; build it again", name, abi,
			RANQ_MODULE_ABI);
	if (!find_symbol(&elf, function, STT_FUNC, &symbol))
		return ranq_err_set(err, RANQ_ERR_INPUT, "module '%s' exports no function '%s'", name, function);
	return 0;
}

ranq_reducer *ranq_module_reducer(const char *path, const char *function, struct ranq_err *err)
{
	char whole[4096];
	ranq_reducer *reducer = NULL;
	/* without a slash dlopen would search for it */
	snprintf(whole, sizeof whole, "%s%.4000s", strchr(path, '/') ? "" : "./", path);
	void *module = dlopen(whole, RTLD_NOW | RTLD_LOCAL);
	if (!module) {
		ranq_err_set(err, RANQ_ERR_INPUT, "cannot load module '%s' here: %.200s", path, dlerror());
		return NULL;
	}
	/* ISO C has no cast from object to function pointer; POSIX promises that the bytes are the same */
	void *symbol = dlsym(module, function);
	memcpy(&reducer, &symbol, sizeof reducer);
	if (!reducer)
		ranq_err_set(err, RANQ_ERR_INPUT, "module '%s' exports no function '%s'", path, function);
	return reducer;
}
