/** What an agent, or a whole page, is about; each has its colour and its sign. */
export type Tone = 'wait' | 'route' | 'near' | 'site' | 'left' | 'break' | 'silent' | 'over' | 'dead';
