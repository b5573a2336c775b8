// Refusals for too many requests, which the SDK gets over by itself.
import { connect, report } from './common.mjs'

const b24 = connect()
const single = Array.from({ length: 3 }, () => b24.actions.v2.call.make({ method: 'profile' }))
const batch = b24.actions.v2.batch.make({ calls: [['profile'], ['profile']], options: { isHaltOnError: true } })
const answers = await Promise.all([...single, batch])
const { retries } = b24.getHttpClient('v2').getStats()
report({ succeeded: answers.every((answer) => answer.isSuccess), again: retries > 0 })
