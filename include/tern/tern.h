#pragma once

#include "tern/batch.h"
#include "tern/bench.h"
#include "tern/chat.h"
#include "tern/error.h"
#include "tern/generate.h"
#include "tern/machine.h"
#include "tern/metadata.h"
#include "tern/model.h"
#include "tern/sampler.h"
#include "tern/session.h"
#include "tern/tokenizer.h"
#include "tern/version.h"
